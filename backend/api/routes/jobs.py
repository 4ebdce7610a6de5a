"""Jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Limit, StoreDep
from backend.services import jobs
from unskew.schemas import api

router = APIRouter(tags=["jobs"])


@router.post("/projects/{slug}/jobs", status_code=202)
def start(store: StoreDep, slug: str, wanted: api.JobCreate) -> api.Job:
    """Ask for a job; an identical one that is queued or running is returned instead."""
    return jobs.start(store, slug, wanted)


@router.get("/jobs")
def list_jobs(store: StoreDep, project: str | None = None, limit: Limit = 100) -> list[api.Job]:
    """Jobs of one project or of all, newest first."""
    return jobs.list_jobs(store, project, limit=limit)


@router.get("/jobs/{job_id}")
def get(store: StoreDep, job_id: str) -> api.Job:
    """One job with its progress."""
    return jobs.get(store, job_id)


@router.get("/jobs/{job_id}/log")
def log(store: StoreDep, job_id: str, after: Annotated[int, Query(ge=0)] = 0) -> list[api.LogLine]:
    """Lines of its log after a line number; without one, the last thousand."""
    return jobs.log(store, job_id, after=after)


@router.get("/jobs/{job_id}/metrics")
def metrics(store: StoreDep, job_id: str) -> dict[str, list[api.CurvePoint]]:
    """Training curves by run, while they grow."""
    return jobs.metrics(store, job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel(store: StoreDep, job_id: str) -> api.Job:
    """Stop a job; finished steps are kept."""
    return jobs.cancel(store, job_id)


@router.post("/jobs/{job_id}/resume")
def resume(store: StoreDep, job_id: str) -> api.Job:
    """Go on with a cancelled or failed job at its first unfinished step."""
    return jobs.resume(store, job_id)
