"""Reports, and the view-only page outside the API."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from backend.api.deps import StoreDep, attachment
from backend.api.rights import EDITOR, VIEWER, Who
from backend.services import plugins, reports
from backend.services.downloads import Download
from unskew.schemas import api

router = APIRouter(tags=["reports"])
shared = APIRouter()

PAGE_HEADERS = {
    "Cache-Control": "no-store",  # a revoked link is closed at once
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; sandbox allow-scripts allow-popups allow-downloads",
}


@router.post("/projects/{slug}/reports", status_code=201, dependencies=[EDITOR])
def create(store: StoreDep, who: Who, slug: str, wanted: api.ReportCreate) -> api.Report:
    """Freeze everything as it is now."""
    if not who.at_machine:
        plugins.refuse_strange(plugins.of_blocks(wanted.blocks))
    return reports.create(store, slug, wanted)


@router.get("/projects/{slug}/reports", dependencies=[VIEWER])
def list_reports(store: StoreDep, slug: str) -> list[api.Report]:
    """Reports, newest first."""
    return reports.list_reports(store, slug)


@router.get("/reports/{report_id}", dependencies=[VIEWER])
def get(store: StoreDep, report_id: int) -> api.Report:
    """One report."""
    return reports.get(store, report_id)


@router.post("/reports/{report_id}/revoke", dependencies=[EDITOR])
def revoke(store: StoreDep, report_id: int) -> api.Report:
    """Close the view-only link for good."""
    return reports.revoke(store, report_id)


@router.get("/reports/{report_id}/download", response_class=Response, dependencies=[VIEWER])
def download(store: StoreDep, report_id: int, format: Literal["html", "json"] = "html") -> Response:
    """One file that works offline, or the frozen figures."""
    if format == "json":
        return attachment(
            Download(reports.frozen_json(store, report_id), "application/json", f"report-{report_id}.json")
        )
    page = reports.html(store, report_id).encode()
    return attachment(Download(page, "text/html; charset=utf-8", f"report-{report_id}.html"))


@shared.get("/r/{token}", include_in_schema=False)
def view(store: StoreDep, token: str) -> HTMLResponse:
    """The view-only page; 404 after its link was revoked."""
    return HTMLResponse(reports.by_token(store, token), headers=PAGE_HEADERS)
