"""Which project an object belongs to: what rights are asked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import NotFoundError

BY_NUMBER: dict[str, Any] = {
    "group_set_id": tables.GroupSet,
    "score_set_id": tables.ScoreSet,
    "prune_set_id": tables.PruneSet,
    "report_id": tables.Report,
    "run_id": tables.Run,
    "attribution_id": tables.Attribution,
    "view_id": tables.SavedView,
}
WITHOUT_PROJECT = ("user_name", "token_id")
# Built once: every request asks.
_BY_SLUG = select(tables.Project.id).where(tables.Project.slug == bindparam("slug"))
_BY_NUMBER = {
    name: select(table.project_id).where(table.id == bindparam("number")) for name, table in BY_NUMBER.items()
}


def project_of(session: Session, name: str, value: str) -> int | None:
    """The number of the project that the path parameter `name` leads to; None: it belongs to no project.

    Raises:
        NotFoundError: there is no such object, or `name` is not known here.
    """
    found: int | None = None
    if name == "slug":
        found = session.scalar(_BY_SLUG, {"slug": value})
    elif name == "job_id":
        row = session.get(tables.Job, value)
        if row is not None:
            return row.project_id
    elif name == "direction_id" and _number(value) is not None:
        query = select(tables.Attribution.project_id).join(tables.Direction)
        found = session.scalar(query.where(tables.Direction.id == _number(value)))
    elif name in BY_NUMBER and _number(value) is not None:
        found = session.scalar(_BY_NUMBER[name], {"number": _number(value)})
    if found is None:
        raise NotFoundError("There is no such thing.")
    return found


def _number(text: str) -> int | None:
    """A row's number; None for what no row can have."""
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**31 else None
