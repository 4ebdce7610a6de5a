"""Saved views: named parts of a split."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import ConflictError, NotFoundError


def get(session: Session, view_id: int) -> tables.SavedView:
    row = session.get(tables.SavedView, view_id)
    if row is None:
        raise NotFoundError(f"There is no view {view_id}.", fix="It may have been deleted; choose another.")
    return row


def list_views(session: Session, project_id: int) -> list[tables.SavedView]:
    """Newest first."""
    query = select(tables.SavedView).where(tables.SavedView.project_id == project_id)
    return list(session.scalars(query.order_by(tables.SavedView.id.desc())))


def add(session: Session, row: tables.SavedView) -> tables.SavedView:
    taken = select(tables.SavedView.id).where(
        tables.SavedView.project_id == row.project_id, tables.SavedView.name == row.name
    )
    if session.scalar(taken) is not None:
        raise ConflictError(f"There is a view {row.name!r} already.", fix="Choose another name.")
    session.add(row)
    session.flush()
    return row
