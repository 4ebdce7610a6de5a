"""Jobs: asking for them, and what people see of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from backend.services import plugins
from backend.store import jobs as job_store
from backend.store import projects as project_store
from backend.store import runs as run_store
from backend.store import tables
from backend.store.db import Store
from unskew.errors import NotFoundError, RightsError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind
from unskew.schemas.params import ImportAttributionParams, ImportCheckpointsParams, ImportParams, Params


def start_import(store: Store, wanted: ImportParams, *, at_machine: bool = True) -> api.Job:
    """Ask for an import; `at_machine` as in `start`."""
    if not at_machine:
        plugins.refuse_strange(plugins.of_params(wanted))
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
            _check_code(params, _known(run_store.list_runs(session, project_id)))
    return get(store, job_store.create(store, wanted.kind, params, project_id).id)


def _known(made: Sequence[tables.Run]) -> set[tuple[str, str]]:
    """Code that the project's runs were made with (`unskew train --model … --trainer …`)."""
    known = {("model", str(run.params["model"]["factory"])) for run in made}
    return known | {
        ("trainer", str(run.params["train"]["trainer"])) for run in made if "trainer" in run.params["train"]
    }


def _check_code(wanted: Params, known: set[tuple[str, str]]) -> None:
    """Refuse files of the server, and code that nobody at the machine has allowed."""
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
    plugins.refuse_strange(plugins.of_params(wanted), known)


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
