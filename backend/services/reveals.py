"""Who looked at test results, and when: the log that makes "K was chosen before" checkable."""

from __future__ import annotations

from sqlalchemy import select

from backend.store import projects, tables
from backend.store.db import Store
from unskew.schemas import api


def list_reveals(store: Store, slug: str) -> list[api.TestReveal]:
    """Oldest first."""
    with store.read() as session:
        project = projects.get(session, slug)
        query = select(tables.TestReveal).where(tables.TestReveal.project_id == project.id)
        return [_body(row) for row in session.scalars(query.order_by(tables.TestReveal.id))]


def reveal(store: Store, slug: str, wanted: api.TestRevealCreate) -> api.TestReveal:
    """Write down that somebody looks at test now; nothing takes it back."""
    with store.session() as session:
        row = tables.TestReveal(project_id=projects.get(session, slug).id, who=wanted.who)
        session.add(row)
        session.flush()
        return _body(row)


def _body(row: tables.TestReveal) -> api.TestReveal:
    return api.TestReveal(who=row.who, at=row.at)
