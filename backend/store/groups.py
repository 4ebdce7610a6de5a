"""Group sets: who is in which group. What people label in them is in `labels`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Integer, bindparam, cast, delete, func, insert, select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew import groups
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.schemas.enums import CutRule, GroupSource


@dataclass(frozen=True)
class Assignment:
    """Groups of the validation split as they stand.

    Attributes:
        group: int64 (n_validation,), label-major; -1 = in no group.
        names: of all groups, position = number.
        by_hand: bool (n_validation,), whether a person labelled it.
        from_directions: pseudo-groups are the sides of directions; else they were split by the loss alone.
    """

    group: NDArray[np.int64]
    names: list[str]
    n_per_class: int
    version: int
    source: GroupSource
    by_hand: NDArray[np.bool_]
    from_directions: bool = False


def get(session: Session, group_set_id: int) -> tables.GroupSet:
    row = session.get(tables.GroupSet, group_set_id)
    if row is None:
        raise NotFoundError(f"There is no group set {group_set_id}.")
    return row


_LOCKED = (
    select(tables.GroupSet)
    .where(tables.GroupSet.id == bindparam("id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_MEMBERS = select(tables.GroupMember).where(
    tables.GroupMember.group_set_id == bindparam("group_set_id"),
    tables.GroupMember.example_id.in_(bindparam("example_ids", expanding=True)),
)


def locked(session: Session, group_set_id: int) -> tables.GroupSet:
    """The set, for one writer at a time: two people's labels must not read the same state before they change it.

    SQLite's sessions that write hold its one write lock already; Postgres locks the row.
    """
    row = session.scalar(_LOCKED, {"id": group_set_id})
    if row is None or row.put_away_at is not None:
        raise NotFoundError(f"There is no group set {group_set_id}.")
    return row


def list_group_sets(session: Session, project_id: int) -> list[tables.GroupSet]:
    """Newest first; without those that were put away."""
    query = select(tables.GroupSet).where(
        tables.GroupSet.project_id == project_id, tables.GroupSet.put_away_at.is_(None)
    )
    return list(session.scalars(query.order_by(tables.GroupSet.id.desc())))


def create(
    session: Session,
    project: tables.Project,
    name: str,
    source: GroupSource,
    group_names: list[list[str]],
    members: Sequence[dict[str, Any]],
    *,
    attribute: str | None = None,
    direction_ids: Sequence[int] = (),
    cut: CutRule = CutRule.ZERO,
) -> tables.GroupSet:
    """A group set with one member row for every validation example.

    Args:
        group_names: one list of names a class.
        members: example_id, position, label, suggestion (index within the class or None), rank.
    """
    _refuse_taken(session, project.id, name)
    row = tables.GroupSet(
        project_id=project.id,
        name=name,
        source=source,
        attribute=attribute,
        direction_ids=list(direction_ids),
        cut=cut,
        group_names=group_names,
    )
    session.add(row)
    session.flush()
    session.execute(
        insert(tables.GroupMember),
        [{**m, "group_set_id": row.id, "group": m["suggestion"], "by_hand": False, "unsure": False} for m in members],
    )
    return row


def _refuse_taken(session: Session, project_id: int, name: str) -> None:
    taken = select(tables.GroupSet.id).where(tables.GroupSet.project_id == project_id, tables.GroupSet.name == name)
    if session.scalar(taken) is not None:
        raise ConflictError(f"There is a group set {name!r} already.", fix="Choose another name.")


def n_per_class(row: tables.GroupSet) -> int:
    return max(len(names) for names in row.group_names)


def group_names(row: tables.GroupSet) -> list[str]:
    """Names of all groups, label-major; a class with fewer groups has nameless ones that stay empty."""
    width = n_per_class(row)
    return [name for names in row.group_names for name in [*names, *[""] * (width - len(names))]]


def assignment(session: Session, group_set_id: int) -> Assignment:
    """The groups as they stand now."""
    row = get(session, group_set_id)
    member = tables.GroupMember
    found = session.execute(
        select(member.label, member.group, member.by_hand)
        .where(member.group_set_id == row.id)
        .order_by(member.position)
    ).all()
    label = np.array([r[0] for r in found], dtype=np.int64)
    index = np.array([-1 if r[1] is None else r[1] for r in found], dtype=np.int64)
    width = n_per_class(row)
    by_hand = np.array([r[2] for r in found], dtype=bool)
    return Assignment(
        groups.number(label, index, width),
        group_names(row),
        width,
        row.version,
        GroupSource(row.source),
        by_hand,
        bool(row.direction_ids),
    )


def counts(session: Session, group_set_id: int) -> dict[tuple[int, int | None], tuple[int, int]]:
    """(label, index or None) → (members, of them by hand)."""
    member = tables.GroupMember
    by_hand = func.sum(cast(member.by_hand, Integer))
    query = select(member.label, member.group, func.count(), by_hand).where(member.group_set_id == group_set_id)
    return {
        (label, group): (n, int(hand or 0))
        for label, group, n, hand in session.execute(query.group_by(member.label, member.group))
    }


def members(session: Session, group_set_id: int, example_ids: Sequence[int]) -> dict[int, tables.GroupMember]:
    found = session.scalars(_MEMBERS, {"group_set_id": group_set_id, "example_ids": list(example_ids)})
    return {row.example_id: row for row in found}


def of_example(session: Session, project_id: int, example_id: int) -> dict[str, str]:
    """Group set → name of the example's group there; "" where it is in none."""
    member, group_set = tables.GroupMember, tables.GroupSet
    query = (
        select(group_set, member.label, member.group)
        .join(member, member.group_set_id == group_set.id)
        .where(group_set.project_id == project_id, group_set.put_away_at.is_(None), member.example_id == example_id)
        .order_by(group_set.id.desc())
    )
    return {
        row.name: "" if group is None else row.group_names[label][group] for row, label, group in session.execute(query)
    }


def n_events(session: Session, group_set_id: int) -> int:
    return (
        session.scalar(
            select(func.count()).select_from(tables.LabelEvent).where(tables.LabelEvent.group_set_id == group_set_id)
        )
        or 0
    )


def rename(session: Session, row: tables.GroupSet, name: str | None, names: list[list[str]] | None) -> None:
    """Other words for the same groups: numbers, members and version stay."""
    if name is not None and name != row.name:
        _refuse_taken(session, row.project_id, name)
        row.name = name
    if names is not None:
        if [len(n) for n in names] != [len(n) for n in row.group_names]:
            raise SettingsError(
                f"The classes have {[len(n) for n in row.group_names]} groups; got {[len(n) for n in names]} names.",
                fix="Give one name a group; groups are neither added nor taken away here.",
            )
        row.group_names = names


def delete_group_set(session: Session, group_set_id: int, *, force: bool = False) -> None:
    """Delete the set; one that holds labels of people, or that scores rest on, is put away and keeps all of them.

    Raises:
        ConflictError: people labelled in it or scores rest on it, and `force` is not set.
    """
    row = locked(session, group_set_id)
    labels = n_events(session, row.id)
    used = session.scalar(select(tables.ScoreSet.id).where(tables.ScoreSet.group_set_id == row.id).limit(1))
    if not labels and used is None:
        session.execute(delete(tables.GroupMember).where(tables.GroupMember.group_set_id == row.id))
        session.delete(row)
        return
    if not force:
        why = f"holds {labels} labels that people gave" if labels else f"is what score set {used} rests on"
        raise ConflictError(
            f"Group set {row.name!r} {why}.", fix="With force=true it is put away; labels and scores stay in the store."
        )
    row.put_away_at = tables.now()
    row.name = f"{row.name[:70]} (put away, {row.id})"  # the name is free again
