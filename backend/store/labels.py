"""Hand labels: append-only events, and the queue of what there is to label.

A label is one event with an idempotency key: writing it twice stores it once. Undo and redo are events too, each naming
the event that it takes back or brings back, so that history is never rewritten and no label is ever lost.
`group_member` holds where the events lead, changed in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Float,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from backend.store import tables
from backend.store.groups import locked, members
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import GroupSource, LabelAction, LabelOrder

UNDO_DEPTH = 5_000  # events of one annotator that undo looks back over; more than the largest gesture

# Knuth's multiplicative hash: the same shuffle on every database, different from the order of positions.
_SHUFFLE, _MODULUS = 2_654_435_761, 4_294_967_296


@dataclass(frozen=True)
class Written:
    """What a change led to, as it stands at its end: the set, and the members that it touched, each once."""

    group_set: tables.GroupSet
    members: list[tables.GroupMember]


def write(session: Session, group_set_id: int, labels: Sequence[api.LabelWrite], annotator: str) -> Written:
    """Store key presses in order. A key that is stored already changes nothing.

    Raises:
        NotFoundError: an example that is not in the set. SettingsError: a group that its class does not have.
    """
    row = locked(session, group_set_id)
    event = tables.LabelEvent
    known = set(
        session.scalars(select(event.key).where(event.group_set_id == row.id, event.key.in_([w.key for w in labels])))
    )
    found = members(session, row.id, [w.example_id for w in labels])
    fresh = 0
    for wanted in labels:
        member = found.get(wanted.example_id)
        if member is None:
            raise NotFoundError(f"Example {wanted.example_id} is not in group set {row.id}.")
        names = row.group_names[member.label]
        if wanted.group is not None and not 0 <= wanted.group < len(names):
            raise SettingsError(
                f"There is no group {wanted.group} in this class.", fix=f"Use 0 … {len(names) - 1}, or null for unsure."
            )
        if wanted.key in known:
            continue
        known.add(wanted.key)
        after = {"group": wanted.group, "by_hand": True, "unsure": wanted.group is None}
        _append(session, row, member, annotator, LabelAction.SET, wanted.key, after)
        fresh += 1
    _touched(row, fresh)
    return Written(row, [found[i] for i in dict.fromkeys(w.example_id for w in labels)])


def undo(session: Session, group_set_id: int, annotator: str) -> Written:
    """Take back this annotator's last gesture that is not taken back yet: one label, or all that were given at once."""
    row = locked(session, group_set_id)
    done, _ = _stacks(session, row.id, annotator)
    if not done:
        raise ConflictError("There is nothing to undo.")
    touched = [_revert(session, row, event, annotator, LabelAction.UNDO) for event in _gesture(done)]
    return Written(row, list(dict.fromkeys(touched)))


def redo(session: Session, group_set_id: int, annotator: str) -> Written:
    """Bring back the gesture that was undone last; a new label empties this stack."""
    row = locked(session, group_set_id)
    _, undone = _stacks(session, row.id, annotator)
    if not undone:
        raise ConflictError("There is nothing to redo.")
    touched = [_revert(session, row, event, annotator, LabelAction.REDO) for event in _gesture(undone)]
    return Written(row, list(dict.fromkeys(touched)))


def _gesture(stack: Sequence[tables.LabelEvent]) -> list[tables.LabelEvent]:
    """The events of the top gesture, the last first; a key without ":" is a gesture of its own."""
    name, together, _ = stack[-1].key.partition(":")
    found = [stack[-1]]
    for event in reversed(stack[:-1]):
        if not together or not event.key.startswith(f"{name}:"):
            break
        found.append(event)
    return found


def _stacks(
    session: Session, group_set_id: int, annotator: str
) -> tuple[list[tables.LabelEvent], list[tables.LabelEvent]]:
    """Set events that stand, and those that were undone and can come back; last = top."""
    event = tables.LabelEvent
    query = select(event).where(event.group_set_id == group_set_id, event.annotator == annotator)
    rows = list(reversed(session.scalars(query.order_by(event.id.desc()).limit(UNDO_DEPTH)).all()))
    by_id = {e.id: e for e in rows}
    done: list[tables.LabelEvent] = []
    undone: list[tables.LabelEvent] = []
    for e in rows:
        if e.action == LabelAction.SET:
            done.append(e)
            undone.clear()
        elif e.reverts in by_id:
            source, target = (done, undone) if e.action == LabelAction.UNDO else (undone, done)
            if source and source[-1].id == e.reverts:
                target.append(source.pop())
    return done, undone


def _revert(
    session: Session, row: tables.GroupSet, event: tables.LabelEvent, annotator: str, action: LabelAction
) -> tables.GroupMember:
    """Take the event back or bring it back. Undo uncovers the label below it, which may be another person's."""
    member = members(session, row.id, [event.example_id])[event.example_id]
    after = event.after
    if action is LabelAction.UNDO:
        history = _events(session, row.id, event.example_id)
        after = standing(history, member.suggestion, without=event.id)
    _append(session, row, member, annotator, action, uuid.uuid4().hex, after, reverts=event.id)
    _touched(row, 1)
    return member


def _events(session: Session, group_set_id: int, example_id: int) -> list[tables.LabelEvent]:
    event = tables.LabelEvent
    query = select(event).where(event.group_set_id == group_set_id, event.example_id == example_id)
    return list(session.scalars(query.order_by(event.id)))


def standing(
    events: Sequence[tables.LabelEvent], suggestion: int | None, *, without: int | None = None
) -> dict[str, Any]:
    """Where one example stands after its events, in order: the last label that was not taken back, else the suggestion.

    This is what `group_member` holds, and how it can be rebuilt.
    """
    labels: dict[int, tables.LabelEvent] = {}
    for event in events:
        if event.action == LabelAction.SET:
            labels[event.id] = event
        elif event.reverts is not None:
            brought_back = next((e for e in events if e.id == event.reverts), None)
            labels.pop(event.reverts, None)
            if event.action == LabelAction.REDO and brought_back is not None:
                labels[event.reverts] = brought_back  # on top of what came since
    if without is not None:
        labels.pop(without, None)
    if labels:
        return dict(list(labels.values())[-1].after)
    return {"group": suggestion, "by_hand": False, "unsure": False}


def _append(
    session: Session,
    row: tables.GroupSet,
    member: tables.GroupMember,
    annotator: str,
    action: LabelAction,
    key: str,
    after: dict[str, Any],
    reverts: int | None = None,
) -> None:
    before = {"group": member.group, "by_hand": member.by_hand, "unsure": member.unsure}
    session.add(
        tables.LabelEvent(
            group_set_id=row.id,
            example_id=member.example_id,
            annotator=annotator,
            action=action,
            key=key,
            before=before,
            after=after,
            reverts=reverts,
        )
    )
    member.group, member.by_hand, member.unsure = after["group"], after["by_hand"], after["unsure"]


def _touched(row: tables.GroupSet, n: int) -> None:
    """A changed set is a new version; with a person's hand in it, it is no longer pseudo or from an attribute alone.

    The row is `locked`: nobody else counts meanwhile.
    """
    if n == 0:
        return
    if row.source in (GroupSource.PSEUDO, GroupSource.ATTRIBUTE):
        row.source = GroupSource.MIXED
    row.version += n


@dataclass(frozen=True)
class Filter:
    """Which members.

    Attributes:
        only_open: those that no person labelled yet.
        positions, example_ids: these only.
        labelled: what one person labelled: then `only_open` leaves out these instead.
    """

    label: int | None = None
    only_open: bool = False
    positions: tuple[int, ...] | None = None
    example_ids: tuple[int, ...] | None = None
    labelled: tuple[int, ...] | None = None


def queue(
    session: Session,
    group_set_id: int,
    wanted: Filter,
    order: LabelOrder,
    *,
    after: tuple[float, int] | None = None,
    limit: int,
) -> list[tuple[tables.GroupMember, float]]:
    """The next members of the queue, each with the key that it stands at.

    Args:
        after: (key, example id) of the last member that was seen. Labels written meanwhile shift nothing.
    """
    member = tables.GroupMember
    key = cast(_key(order), Float(53)).label("key")
    query = _filtered(select(member, key), group_set_id, wanted)
    if after is not None:
        query = query.where(or_(key > after[0], and_(key == after[0], member.example_id > after[1])))
    query = query.order_by(key, member.example_id).limit(limit)
    return [(row, float(place)) for row, place in session.execute(query)]


def count(session: Session, group_set_id: int, wanted: Filter) -> int:
    query = _filtered(select(func.count()).select_from(tables.GroupMember), group_set_id, wanted)
    return session.scalar(query) or 0


def _key(order: LabelOrder) -> ColumnElement[Any]:
    member = tables.GroupMember
    keys: dict[LabelOrder, ColumnElement[Any]] = {
        LabelOrder.EXTREMES: -func.abs(member.rank),
        LabelOrder.BOUNDARY: func.abs(member.rank),
        LabelOrder.RANDOM: (cast(member.position, BigInteger) + 1) * _SHUFFLE % _MODULUS,
        LabelOrder.POSITION: cast(member.position, BigInteger),
        LabelOrder.DISAGREEMENT: cast(member.position, BigInteger),
    }
    return keys[order]


def _filtered(query: Select[*tuple[Any, ...]], group_set_id: int, wanted: Filter) -> Select[*tuple[Any, ...]]:
    member = tables.GroupMember
    query = query.where(member.group_set_id == group_set_id)
    if wanted.label is not None:
        query = query.where(member.label == wanted.label)
    if wanted.positions is not None:
        query = query.where(member.position.in_(_literal(wanted.positions)))
    if wanted.example_ids is not None:
        query = query.where(member.example_id.in_(_literal(wanted.example_ids)))
    if wanted.only_open and wanted.labelled is not None:
        query = query.where(member.example_id.not_in(_literal(wanted.labelled)))
    elif wanted.only_open:
        query = query.where(member.by_hand.is_(False))
    return query


def _literal(numbers: Sequence[int]) -> BindParameter[Any]:
    """Numbers written into the statement: SQLite takes 32,766 parameters, a view may hold more examples."""
    return bindparam(None, list(numbers), Integer, expanding=True, literal_execute=True)


def export(session: Session, group_set_id: int) -> list[tuple[tables.GroupMember, str, str | None]]:
    """(member, path, who labelled it last), by position."""
    member, event, example = tables.GroupMember, tables.LabelEvent, tables.Example
    last = (
        select(event.example_id, func.max(event.id).label("id"))
        .where(event.group_set_id == group_set_id)
        .group_by(event.example_id)
        .subquery()
    )
    query = (
        select(member, example.path, event.annotator)
        .join(example, example.id == member.example_id)
        .outerjoin(last, last.c.example_id == member.example_id)
        .outerjoin(event, event.id == last.c.id)
        .where(member.group_set_id == group_set_id)
        .order_by(member.position)
    )
    return [(row, path, annotator) for row, path, annotator in session.execute(query)]
