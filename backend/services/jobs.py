"""Jobs: asking for them, and what people see of them."""

from __future__ import annotations

import os
from collections.abc import Collection

from backend.store import jobs as job_store
from backend.store import projects as project_store
from backend.store import runs as run_store
from backend.store.db import Store
from unskew.errors import NotFoundError, RightsError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind
from unskew.schemas.params import (
    REFERENCE_MODELS,
    ImportAttributionParams,
    ImportCheckpointsParams,
    ImportParams,
    Params,
)

OUR_MODELS = frozenset({"", "unskew.models:resnet18", *REFERENCE_MODELS.values()})  # "": as suits the data


def start_import(store: Store, wanted: ImportParams) -> api.Job:
    return get(store, job_store.create(store, JobKind.IMPORT, wanted).id)


def start(store: Store, slug: str, wanted: api.JobCreate, *, at_machine: bool = True) -> api.Job:
    """Ask for a job of this project; an identical one that is queued or running is returned instead.

    Args:
        at_machine: whoever asks sits at the machine. Over the network nobody names code to run or files to open.
    """
    if wanted.kind is JobKind.IMPORT:
        raise SettingsError("An import makes a project of its own.", fix="POST the parameters to /api/v1/projects.")
    with store.read() as session:
        project_id = project_store.get(session, slug).id
        params = job_store.validated(wanted.kind, wanted.params)
        if not at_machine:
            known = {str(run.params["model"]["factory"]) for run in run_store.list_runs(session, project_id)}
            _check_code(params, known)
    return get(store, job_store.create(store, wanted.kind, params, project_id).id)


def _check_code(wanted: Params, known: set[str]) -> None:
    """Refuse files of the server, and model factories that nobody at the machine has allowed.

    Allowed are our own, those that the project's runs were made with (`unskew train --model`), and those in
    UNSKEW_MODELS, separated by commas.
    """
    if isinstance(wanted, ImportAttributionParams):
        raise RightsError(
            "A matrix is a file of the server: it is imported at the machine.",
            fix="unskew attribute PROJECT --matrix FILE",
        )
    if isinstance(wanted, ImportCheckpointsParams):
        raise RightsError(
            "Checkpoints are files of the server: they are imported at the machine.",
            fix="unskew train PROJECT --model … --checkpoint FILE",
        )
    factory = getattr(getattr(wanted, "model", None), "factory", None)
    allowed = OUR_MODELS | known | {name.strip() for name in os.environ.get("UNSKEW_MODELS", "").split(",")}
    if factory is not None and factory not in allowed:
        raise RightsError(
            f"The model {factory!r} is code that would run on the server, and nobody at the machine has allowed it.",
            fix=f"Start the server with UNSKEW_MODELS={factory}, or train with it once from the command line.",
        )


def get(store: Store, job_id: str) -> api.Job:
    with store.read() as session:
        return job_store.as_schema(session, job_store.get(session, job_id))


def list_jobs(
    store: Store, slug: str | None = None, *, limit: int = 100, visible: Collection[int] | None = None
) -> list[api.Job]:
    """Newest first; `visible`: numbers of the projects that may be seen, None for all and for imports too."""
    with store.read() as session:
        wanted = visible
        if slug is not None:
            found = project_store.slugs(session, visible).get(slug)
            if found is None:
                raise NotFoundError(f"There is no project {slug!r}.")
            wanted = [found]
        return [job_store.as_schema(session, row) for row in job_store.list_jobs(session, wanted, limit)]


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


def workers(store: Store) -> list[api.WorkerInfo]:
    """Those that beat, by name."""
    with store.read() as session:
        found = sorted(job_store.beats(session).items())
        return [api.WorkerInfo(name=name, beat_seconds_ago=round(ago, 1)) for name, ago in found]
