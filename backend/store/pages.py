"""Rows of examples: one query a page, by the positions that an order names; never by OFFSET."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import NotFoundError
from unskew.schemas.enums import Split

IN_ONE_QUERY = 5_000  # SQLite takes 32,766 parameters a statement


@dataclass(frozen=True)
class Row:
    """One example with its attributes."""

    id: int
    split: Split
    position: int
    label: int
    path: str
    content_hash: str
    content: str | None
    attributes: dict[str, str] = field(default_factory=dict)


def by_position(session: Session, project_id: int, split: Split, positions: Sequence[int]) -> list[Row]:
    """The examples at these positions, in the order given."""
    found: dict[int, Row] = {}
    example = tables.Example
    for start in range(0, len(positions), IN_ONE_QUERY):
        part = [int(p) for p in positions[start : start + IN_ONE_QUERY]]
        query = _with_attributes().where(
            example.project_id == project_id, example.split == split, example.position.in_(part)
        )
        found |= {row.position: row for row in _rows(session, query)}
    return [found[int(p)] for p in positions]


def by_id(session: Session, project_id: int, example_ids: Sequence[int]) -> dict[int, Row]:
    """Examples of this project by id; those of another project are not among them."""
    found: dict[int, Row] = {}
    for start in range(0, len(example_ids), IN_ONE_QUERY):
        part = example_ids[start : start + IN_ONE_QUERY]
        query = _with_attributes().where(tables.Example.project_id == project_id, tables.Example.id.in_(part))
        found |= {row.id: row for row in _rows(session, query)}
    return found


def ids(session: Session, project_id: int, split: Split, positions: NDArray[np.int64]) -> list[int]:
    """Ids of the examples at these positions, in the order given."""
    example = tables.Example
    found: dict[int, int] = {}
    for start in range(0, len(positions), IN_ONE_QUERY):
        part = positions[start : start + IN_ONE_QUERY].tolist()
        query = select(example.position, example.id).where(
            example.project_id == project_id, example.split == split, example.position.in_(part)
        )
        found |= {position: number for position, number in session.execute(query)}
    return [found[p] for p in positions.tolist()]


def one(session: Session, project_id: int, example_id: int) -> Row:
    found = by_id(session, project_id, [example_id])
    if example_id not in found:
        raise NotFoundError(f"There is no example {example_id} in this project.")
    return found[example_id]


def file_of(session: Session, project_id: int, example_id: int) -> tuple[str, str]:
    """(path as imported, sha256) of an example's file."""
    row = session.get(tables.Example, example_id)
    if row is None or row.project_id != project_id:
        raise NotFoundError(f"There is no example {example_id} in this project.")
    return row.path, row.content_hash


def files_of(session: Session, project_id: int, example_ids: Sequence[int]) -> list[tuple[int, str, str]]:
    """(id, path as imported, sha256) of those of these examples that are files of this project, in no order."""
    example = tables.Example
    query = select(example.id, example.path, example.content_hash).where(example.project_id == project_id)
    query = query.where(example.id.in_(example_ids), example.content.is_(None))
    return [(number, path, digest) for number, path, digest in session.execute(query)]


def files(session: Session, project_id: int) -> list[tuple[str, str]]:
    """(sha256, path as imported) of every example that is a file."""
    example = tables.Example
    query = select(example.content_hash, example.path).where(example.project_id == project_id)
    query = query.where(example.content.is_(None))
    return [(digest, path) for digest, path in session.execute(query)]


@dataclass(frozen=True)
class Repeats:
    """Examples with the same content: their ids, and the splits that they lie in."""

    ids: list[int]
    splits: set[str]


def repeats(session: Session, project_id: int) -> list[Repeats]:
    """Every content that more than one example has."""
    example = tables.Example
    mine = example.project_id == project_id
    several = select(example.content_hash).where(mine).group_by(example.content_hash).having(func.count() > 1)
    query = select(example.content_hash, example.id, example.split)
    found: dict[str, Repeats] = {}
    for digest, number, split in session.execute(
        query.where(mine, example.content_hash.in_(several)).order_by(example.id)
    ):
        group = found.setdefault(digest, Repeats([], set()))
        group.ids.append(number)
        group.splits.add(split)
    return list(found.values())


def class_counts(session: Session, project_id: int) -> list[tuple[str, int, int]]:
    """(split, label, n)."""
    example = tables.Example
    query = select(example.split, example.label, func.count()).where(example.project_id == project_id)
    return [(split, label, n) for split, label, n in session.execute(query.group_by(example.split, example.label))]


def attribute_counts(session: Session, project_id: int) -> list[tuple[str, str, int, str, int]]:
    """(attribute, value, label, split, n)."""
    example, value = tables.Example, tables.AttributeValue
    keys = (value.name, value.value, example.label, example.split)
    query = select(*keys, func.count()).join(example, example.id == value.example_id)
    query = query.where(value.project_id == project_id).group_by(*keys).order_by(*keys)
    return [(name, text, label, split, n) for name, text, label, split, n in session.execute(query)]


def keys(session: Session, project_id: int, split: Split) -> list[tuple[int, int, int, str]]:
    """(id, position, label, path) of every example of a split, by position."""
    example = tables.Example
    query = select(example.id, example.position, example.label, example.path)
    query = query.where(example.project_id == project_id, example.split == split).order_by(example.position)
    return [(i, position, label, path) for i, position, label, path in session.execute(query)]


def _with_attributes() -> Select[*tuple[Any, ...]]:
    example, value = tables.Example, tables.AttributeValue
    place, held = (example.id, example.split, example.position, example.label), (example.path, example.content_hash)
    query = select(*place, *held, example.content, value.name, value.value)
    return query.outerjoin(value, value.example_id == example.id)


def _rows(session: Session, query: Select[*tuple[Any, ...]]) -> list[Row]:
    found: dict[int, Row] = {}
    for example_id, split, position, label, path, content_hash, content, name, value in session.execute(query):
        row = found.get(example_id)
        if row is None:
            row = found[example_id] = Row(example_id, Split(split), position, label, path, content_hash, content)
        if name is not None:
            row.attributes[name] = value
    return list(found.values())
