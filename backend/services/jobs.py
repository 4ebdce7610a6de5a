"""Jobs: asking for them, and what people see of them."""

from __future__ import annotations

from backend.store import jobs as job_store
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind
from unskew.schemas.params import ImportParams


def start_import(store: Store, wanted: ImportParams) -> api.Job:
    return get(store, job_store.create(store, JobKind.IMPORT, wanted).id)


def start(store: Store, slug: str, wanted: api.JobCreate) -> api.Job:
    """Ask for a job of this project; an identical one that is queued or running is returned instead."""
    if wanted.kind is JobKind.IMPORT:
        raise SettingsError("An import makes a project of its own.", fix="POST the parameters to /api/v1/projects.")
    with store.read() as session:
        project_id = project_store.get(session, slug).id
    params = job_store.validated(wanted.kind, wanted.params)
    return get(store, job_store.create(store, wanted.kind, params, project_id).id)


def get(store: Store, job_id: str) -> api.Job:
    with store.read() as session:
        return job_store.as_schema(session, job_store.get(session, job_id))


def list_jobs(store: Store, slug: str | None = None, *, limit: int = 100) -> list[api.Job]:
    """Newest first."""
    with store.read() as session:
        project_id = None if slug is None else project_store.get(session, slug).id
        return [job_store.as_schema(session, row) for row in job_store.list_jobs(session, project_id, limit)]


def log(store: Store, job_id: str, *, after: int = 0) -> list[api.LogLine]:
    with store.read() as session:
        job_store.get(session, job_id)
        lines = job_store.log_lines(session, job_id, after)
        return [api.LogLine(id=line.id, at=line.at, text=line.text) for line in lines]


def metrics(store: Store, job_id: str) -> dict[str, list[api.CurvePoint]]:
    """Training curves by run title, in the order in which the runs began."""
    with store.read() as session:
        job_store.get(session, job_id)
        found: dict[str, list[api.CurvePoint]] = {}
        for row in job_store.metrics(session, job_id):
            point = api.CurvePoint(epoch=row.epoch, name=row.name, value=row.value)
            found.setdefault(row.title, []).append(point)
        return found


def cancel(store: Store, job_id: str) -> api.Job:
    job_store.cancel(store, job_id)
    return get(store, job_id)


def resume(store: Store, job_id: str) -> api.Job:
    job_store.resume(store, job_id)
    return get(store, job_id)


def health(store: Store) -> api.Health:
    with store.read() as session:
        return api.Health(worker=job_store.worker_alive(session), active_jobs=job_store.n_active(session))
