"""LDS results, and the margins of models trained on halves, which every attribution of the same recipe shares."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import tables

HALVES = "halves"  # artifact: margins.npy, float32 (n_validation,), of one model trained on one half
MARGINS = "margins.npy"


def find(session: Session, key: str) -> tables.Fidelity | None:
    return session.scalar(select(tables.Fidelity).where(tables.Fidelity.key == key))


def of_project(session: Session, project_id: int) -> list[tuple[tables.Fidelity, tables.Attribution]]:
    """Newest first, each with the attribution that it is about."""
    query = select(tables.Fidelity, tables.Attribution).join(
        tables.Attribution, tables.Attribution.id == tables.Fidelity.attribution_id
    )
    query = query.where(tables.Attribution.project_id == project_id)
    return [(row, about) for row, about in session.execute(query.order_by(tables.Fidelity.id.desc()))]
