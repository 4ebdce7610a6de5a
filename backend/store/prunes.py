"""Prune sets: frozen lists of training rows to drop."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import scores, tables
from unskew.errors import NotFoundError
from unskew.schemas.enums import Method, PruneRule

PRUNES = "prunes"
REMOVED = "removed.npy"  # int64, ascending training positions


def get(session: Session, prune_set_id: int) -> tables.PruneSet:
    row = session.get(tables.PruneSet, prune_set_id)
    if row is None:
        raise NotFoundError(f"There is no prune set {prune_set_id}.")
    return row


def find(session: Session, score_set_id: int, rule: str, digest: str) -> tables.PruneSet | None:
    """The prune set by this rule with these very rows."""
    row = tables.PruneSet
    return session.scalar(select(row).where(row.score_set_id == score_set_id, row.rule == rule, row.digest == digest))


def method(session: Session, row: tables.PruneSet) -> Method:
    """What training without these rows is called: it depends on the labels that the choice of rows rests on."""
    if row.rule == PruneRule.EXCLUDED:
        return Method.EXCLUDE
    return Method(scores.get(session, row.score_set_id).method)


def list_prune_sets(session: Session, project_id: int) -> list[tables.PruneSet]:
    """Newest first."""
    query = select(tables.PruneSet).where(tables.PruneSet.project_id == project_id)
    return list(session.scalars(query.order_by(tables.PruneSet.id.desc())))
