"""Score sets: T of every training example under one group set, and what the search for K* found."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import ConflictError, NotFoundError
from unskew.schemas.enums import Method

SCORES = "scores"


def find(session: Session, key: str) -> tables.ScoreSet | None:
    return session.scalar(select(tables.ScoreSet).where(tables.ScoreSet.key == key))


def get(session: Session, score_set_id: int) -> tables.ScoreSet:
    row = session.get(tables.ScoreSet, score_set_id)
    if row is None:
        raise NotFoundError(f"There is no score set {score_set_id}.")
    return row


def list_score_sets(session: Session, project_id: int) -> list[tables.ScoreSet]:
    """Newest first."""
    query = select(tables.ScoreSet).where(tables.ScoreSet.project_id == project_id)
    return list(session.scalars(query.order_by(tables.ScoreSet.id.desc())))


def newest(session: Session, project_id: int, method: Method) -> tables.ScoreSet:
    """The newest score set of a pruning method.

    Raises:
        ConflictError: there is none.
    """
    for row in list_score_sets(session, project_id):
        if row.method == method:
            return row
    raise ConflictError(
        "Nothing has been scored over pseudo-groups yet." if method is Method.AUTO_TRAK else f"No scores of {method}.",
        fix="Make a group set from directions and score it first.",
    )
