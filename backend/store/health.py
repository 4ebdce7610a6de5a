"""Checks of the database itself."""

from __future__ import annotations

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backend.store import tables


def database(session: Session) -> list[str]:
    """What SQLite finds wrong with its own file and references; Postgres looks after itself."""
    if session.get_bind().dialect.name != "sqlite":
        return []
    broken = [row[0] for row in session.execute(text("PRAGMA quick_check(20)")) if row[0] != "ok"]
    dangling = session.execute(text("PRAGMA foreign_key_check")).all()
    return [f"database: {line}" for line in broken] + [
        f"database: row {row[1]} of {row[0]} refers to a row of {row[2]} that is gone" for row in dangling[:20]
    ]


def n_artifacts(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(tables.Artifact)) or 0
