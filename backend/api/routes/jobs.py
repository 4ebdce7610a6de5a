"""Jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Limit, StoreDep
from backend.api.rights import EDITOR, VIEWER, Who
from backend.services import jobs
from unskew.schemas import api

router = APIRouter(tags=["jobs"])


@router.post("/projects/{slug}/jobs", status_code=202, dependencies=[EDITOR])
def start(store: StoreDep, who: Who, slug: str, wanted: api.JobCreate) -> api.Job:
    """Ask for a job; an identical one that is queued or running is returned instead."""
    return jobs.start(store, slug, wanted, at_machine=who.at_machine)


@router.get("/jobs", dependencies=[VIEWER])
def list_jobs(store: StoreDep, who: Who, project: str | None = None, limit: Limit = 100) -> list[api.Job]:
    """Jobs of one project, or of all that one may see, newest first."""
    return jobs.list_jobs(store, project, limit=limit, visible=who.visible)


@router.get("/jobs/{job_id}", dependencies=[VIEWER])
def get(store: StoreDep, job_id: str) -> api.Job:
    """One job with its progress."""
    return jobs.get(store, job_id)


@router.get("/jobs/{job_id}/log", dependencies=[VIEWER])
def log(store: StoreDep, job_id: str, after: Annotated[int, Query(ge=0)] = 0) -> list[api.LogLine]:
    """Lines of its log after a line number; without one, the last thousand."""
    return jobs.log(store, job_id, after=after)


@router.get("/jobs/{job_id}/metrics", dependencies=[VIEWER])
def metrics(store: StoreDep, job_id: str) -> dict[str, list[api.CurvePoint]]:
    """Training curves by run, while they grow."""
    return jobs.metrics(store, job_id)


@router.post("/jobs/{job_id}/cancel", dependencies=[EDITOR])
def cancel(store: StoreDep, job_id: str) -> api.Job:
    """Stop a job; finished steps are kept."""
    return jobs.cancel(store, job_id)


@router.post("/jobs/{job_id}/resume", dependencies=[EDITOR])
def resume(store: StoreDep, job_id: str) -> api.Job:
    """Go on with a cancelled or failed job at its first unfinished step."""
    return jobs.resume(store, job_id)
