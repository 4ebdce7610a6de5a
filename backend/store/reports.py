"""Reports: frozen, found by number or by their view-only token."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from backend.store import tables
from unskew.errors import NotFoundError

REPORTS = "reports"
PAGE = "report.html"


def get(session: Session, report_id: int) -> tables.Report:
    row = session.get(tables.Report, report_id)
    if row is None:
        raise NotFoundError(f"There is no report {report_id}.")
    return row


def by_token(session: Session, token: str) -> tables.Report:
    """A report that may be seen with this token; a revoked or expired one is as absent as one that never was."""
    row = session.scalar(select(tables.Report).where(tables.Report.token == token))
    if row is None or row.revoked or is_expired(row):
        raise NotFoundError(
            "There is no such report, or its link was revoked or has expired.", fix="Ask whoever sent you the link."
        )
    return row


def list_reports(session: Session, project_id: int) -> list[tables.Report]:
    """Newest first; what they froze is not read until it is asked for."""
    query = select(tables.Report).options(defer(tables.Report.frozen)).where(tables.Report.project_id == project_id)
    return list(session.scalars(query.order_by(tables.Report.id.desc())))


def is_expired(row: tables.Report) -> bool:
    return row.expires_at is not None and row.expires_at <= tables.now()
