"""Which artifacts rows refer to. Asked of the schema itself, so that a table added later is not forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, String, Table, Text, delete, func, select
from sqlalchemy.orm import Session

from backend.store import tables

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# Tables without a reference: large ones whose hashes are of other things, logs, and the list of artifacts itself.
_WITHOUT = {"artifact", "example", "attribute_value", "group_member", "label_event", "job_log", "metric", "audit"}


def referenced(session: Session) -> set[str]:
    """Ids of all artifacts that some row names, a frozen report's text included."""
    known = set(session.scalars(select(tables.Artifact.id)))
    return {found for text in _texts(session) for found in _ID.findall(text) if found in known}


def _texts(session: Session) -> Iterator[str]:
    for table in tables.Base.metadata.sorted_tables:
        if table.name in _WITHOUT:
            continue
        for column in _text_columns(table):
            for value in session.scalars(select(column)):
                if value is not None:
                    yield value if isinstance(value, str) else json.dumps(value)


def _text_columns(table: Table) -> list[Any]:
    return [c for c in table.columns if isinstance(c.type, JSON | Text) or _is_long(c.type)]


def _is_long(kind: Any) -> bool:
    return isinstance(kind, String) and (kind.length or 64) >= 64


def unreferenced(session: Session) -> list[tables.Artifact]:
    """Artifacts that no row names: features of solved attributions, and what deleted projects left."""
    kept = referenced(session)
    return [row for row in session.scalars(select(tables.Artifact).order_by(tables.Artifact.id)) if row.id not in kept]


def forget(session: Session, ids: list[str]) -> None:
    """Remove the rows; their folders can then be removed."""
    for start in range(0, len(ids), 500):
        session.execute(delete(tables.Artifact).where(tables.Artifact.id.in_(ids[start : start + 500])))


def size_by_kind(session: Session) -> dict[str, int]:
    """Bytes of artifacts by their kind, the largest first."""
    total = func.sum(tables.Artifact.bytes)
    rows = session.execute(select(tables.Artifact.kind, total).group_by(tables.Artifact.kind).order_by(total.desc()))
    return {kind: int(size) for kind, size in rows}


def content_hashes(session: Session, project_id: int | None = None) -> set[str]:
    """Of the example files of one project, or of all: thumbnails lie under them."""
    query = select(tables.Example.content_hash).distinct()
    return set(session.scalars(query if project_id is None else query.where(tables.Example.project_id == project_id)))
