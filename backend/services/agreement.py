"""Several annotators: how far they agree with each other and with the suggestion, and what happened when."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import annotators, tables
from backend.store import groups as group_store
from backend.store.db import Store
from unskew.evaluation import kappa, wilson
from unskew.schemas import api
from unskew.schemas.enums import LabelAction


def agreement(store: Store, group_set_id: int) -> api.Agreement:
    """Every pair of annotators on the examples that both labelled; unsure answers count for neither."""
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        found = annotators.said(session, row.id)
        people = {who: labels for who, labels in found.items() if not who.endswith(annotators.ADJUDICATION)}
        return api.Agreement(
            annotators=[
                api.AnnotatorCount(name=who, n=len(labels), unsure=sum(g is None for g in labels.values()))
                for who, labels in sorted(people.items())
            ],
            pairs=[_pair(a, people[a], b, people[b]) for a, b in combinations(sorted(people), 2)],
            n_disagreements=len(annotators.disagreements(found)),
            suggestion=_suggestion(session, row),
        )


def _pair(a: str, first: dict[int, int | None], b: str, second: dict[int, int | None]) -> api.AnnotatorPair:
    both = [(first[i], second[i]) for i in sorted(first.keys() & second.keys())]
    sure = [(x, y) for x, y in both if x is not None and y is not None]
    one, two = (np.array([pair[k] for pair in sure], dtype=np.int64) for k in (0, 1))
    return api.AnnotatorPair(
        first=a, second=b, n=len(sure), observed=wilson(int((one == two).sum()), len(sure)), kappa=kappa(one, two)
    )


def _suggestion(session: Session, row: tables.GroupSet) -> list[api.SuggestionMatch]:
    """Of each suggested group: the share that people confirmed, among those they labelled."""
    member = tables.GroupMember
    query = select(member.label, member.suggestion, member.group).where(
        member.group_set_id == row.id,
        member.by_hand.is_(True),
        member.suggestion.is_not(None),
        member.unsure.is_(False),
    )
    kept: dict[tuple[int, int], list[bool]] = {}
    for label, suggestion, group in session.execute(query):
        kept.setdefault((label, int(suggestion or 0)), []).append(suggestion == group)
    return [
        api.SuggestionMatch(name=row.group_names[label][index], confirmed=wilson(sum(same), len(same)))
        for (label, index), same in sorted(kept.items())
    ]


def history(
    store: Store, group_set_id: int, *, example_id: int | None = None, before: int | None = None, limit: int = 100
) -> list[api.LabelEvent]:
    """What people did, newest first; the next page is `before` the last one's id."""
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        event, member = tables.LabelEvent, tables.GroupMember
        query = (
            select(event, member.label)
            .join(member, (member.group_set_id == event.group_set_id) & (member.example_id == event.example_id))
            .where(event.group_set_id == row.id)
        )
        if example_id is not None:
            query = query.where(event.example_id == example_id)
        if before is not None:
            query = query.where(event.id < before)
        found = session.execute(query.order_by(event.id.desc()).limit(limit))
        return [_event(row, e, label) for e, label in found]


def _event(row: tables.GroupSet, event: tables.LabelEvent, label: int) -> api.LabelEvent:
    def words(state: dict[str, object]) -> str:
        group = state["group"]
        return row.group_names[label][group] if isinstance(group, int) else "unsure" if state["unsure"] else "no group"

    return api.LabelEvent(
        id=event.id,
        at=event.at,
        annotator=event.annotator,
        action=LabelAction(event.action),
        example_id=event.example_id,
        before=words(event.before),
        after=words(event.after),
    )
