"""Who said what: each annotator's own standing labels of a group set, read from the events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.schemas.enums import LabelAction

ADJUDICATION = " (adjudication)"  # ends the name of whoever decides between annotators; not an annotator of its own

Said = dict[str, dict[int, int | None]]  # annotator → example id → group within the class; None = unsure


def name(annotator: str, *, adjudicates: bool) -> str:
    """As events carry it, in 64 letters."""
    return annotator[: 64 - len(ADJUDICATION)] + ADJUDICATION if adjudicates else annotator


def said(session: Session, group_set_id: int, annotator: str | None = None) -> Said:
    """Labels that stand: given, and not taken back by their annotator. The last one of an example counts."""
    event = tables.LabelEvent
    query = select(event.id, event.annotator, event.action, event.example_id, event.after, event.reverts)
    query = query.where(event.group_set_id == group_set_id)
    if annotator is not None:
        query = query.where(event.annotator == annotator)
    stack: dict[tuple[str, int], dict[int, int | None]] = defaultdict(dict)  # event id → group, in order
    given: dict[int, int | None] = {}
    for number, who, action, example_id, after, reverts in session.execute(query.order_by(event.id)):
        own = stack[who, example_id]
        if action == LabelAction.SET:
            own[number] = given[number] = after["group"]
        else:
            own.pop(reverts, None)
            if action == LabelAction.REDO and reverts in given:
                own[reverts] = given[reverts]
    found: Said = defaultdict(dict)
    for (who, example_id), own in stack.items():
        if own:
            found[who][example_id] = list(own.values())[-1]
    return dict(found)


def disagreements(found: Said) -> dict[int, dict[str, int | None]]:
    """Example → what each annotator said, where two of them differ and nobody decided between them yet."""
    by_example: dict[int, dict[str, int | None]] = defaultdict(dict)
    decided: set[int] = set()
    for who, labels in found.items():
        if who.endswith(ADJUDICATION):
            decided |= labels.keys()
            continue
        for example_id, group in labels.items():
            by_example[example_id][who] = group
    return {i: by for i, by in sorted(by_example.items()) if i not in decided and _differ(by)}


def _differ(by: Mapping[str, int | None]) -> bool:
    return len(set(by.values())) > 1
