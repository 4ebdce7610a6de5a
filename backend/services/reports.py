"""Reports: freeze one, find it again, open and close its view-only link."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from pathlib import Path

from backend.reports.figures import figures
from backend.reports.freeze import freeze
from backend.reports.render import render
from backend.store import projects, tables
from backend.store import reports as report_store
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.report import FrozenReport


def create(store: Store, slug: str, wanted: api.ReportCreate | None = None) -> api.Report:
    """Freeze everything as it is now into one HTML file and one JSON document."""
    wanted = wanted or api.ReportCreate()
    frozen = freeze(store, slug, wanted)
    days = wanted.expires_in_days
    page = render(frozen, figures(frozen)).encode()
    digest = hashlib.sha256(page).hexdigest()
    with store.session() as session:
        project = projects.get(session, slug)
        store.artifacts.write(
            session, report_store.REPORTS, digest, lambda folder: _write(folder / report_store.PAGE, page)
        )
        row = tables.Report(
            project_id=project.id,
            title=frozen.title,
            notes=frozen.notes,
            token=secrets.token_urlsafe(24),
            digest=digest,
            frozen=frozen.model_dump(mode="json"),
            artifact=digest,
            size_bytes=len(page),
            expires_at=None if days is None else tables.now() + timedelta(days=days),
        )
        session.add(row)
        session.flush()
        return _body(row)


def _write(path: Path, page: bytes) -> None:
    path.write_bytes(page)


def list_reports(store: Store, slug: str) -> list[api.Report]:
    """Newest first."""
    with store.read() as session:
        return [_body(row) for row in report_store.list_reports(session, projects.get(session, slug).id)]


def get(store: Store, report_id: int) -> api.Report:
    with store.read() as session:
        return _body(report_store.get(session, report_id))


def revoke(store: Store, report_id: int) -> api.Report:
    """Close the view-only link for good; the report itself stays."""
    with store.session() as session:
        row = report_store.get(session, report_id)
        row.revoked = True
        return _body(row)


def html(store: Store, report_id: int) -> str:
    """The page, for somebody with a right to the project."""
    with store.read() as session:
        return _page(store, report_store.get(session, report_id))


def frozen_json(store: Store, report_id: int) -> bytes:
    """The frozen figures, which `FrozenReport` reads back."""
    with store.read() as session:
        return (
            FrozenReport.model_validate(report_store.get(session, report_id).frozen).model_dump_json(indent=1).encode()
        )


def by_token(store: Store, token: str) -> str:
    """The page, for whoever holds its link.

    Raises:
        NotFoundError: no such link, or it was revoked.
    """
    with store.read() as session:
        return _page(store, report_store.by_token(session, token))


def _page(store: Store, row: tables.Report) -> str:
    return store.artifacts.path(report_store.REPORTS, row.artifact, report_store.PAGE).read_text(encoding="utf-8")


def _body(row: tables.Report) -> api.Report:
    return api.Report(
        id=row.id,
        title=row.title,
        token=row.token,
        url=f"/r/{row.token}",
        digest=row.digest,
        size_bytes=row.size_bytes,
        revoked=row.revoked,
        expires_at=row.expires_at,
        expired=report_store.is_expired(row),
        created_at=row.created_at,
    )
