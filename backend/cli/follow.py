"""Run a job from the command line: find or start a worker, show progress with ETA, leave a resumable job on Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from backend.cli.context import err
from backend.store import jobs
from backend.store.db import Store
from unskew.errors import RowError, UnskewError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus
from unskew.schemas.params import Params

POLL_SECONDS = 0.2
Watch = Callable[[], None]
_own: list[Watch] = []  # this process's worker, which may not have said that it is alive yet


@contextmanager
def worker(store: Store, *, device: str = "cpu") -> Iterator[Watch]:
    """A worker for as long as the block runs, unless one is alive already; yields a check that it still lives."""
    with store.read() as session:
        alive = jobs.worker_alive(session)
    if alive or _own:
        yield _own[-1] if _own else lambda: None
        return
    process = start_worker(store, device=device)

    def watch() -> None:
        if process.poll() is not None:
            tail = (store.data / "worker.log").read_text(errors="replace").splitlines()[-3:]
            raise UnskewError(
                f"The worker ended with code {process.returncode}: {' / '.join(tail)}",
                fix="See worker.log in the data folder.",
            )

    _own.append(watch)
    try:
        yield watch
    finally:
        _own.pop()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def start_worker(store: Store, *, device: str = "cpu") -> subprocess.Popen[bytes]:
    """A worker process that ends when this one does, however this one ends."""
    command = [sys.executable, "-m", "workers", "--data", str(store.data), "--device", device]
    command += ["--die-with-parent", str(os.getpid())]
    log = store.data / "worker.log"
    with log.open("ab") as stream:
        return subprocess.Popen(
            command, stdout=stream, stderr=stream, env=os.environ | {"UNSKEW_DATABASE_URL": store.url}
        )


def run(store: Store, kind: JobKind, params: Params, project_id: int | None = None, *, quiet: bool = False) -> api.Job:
    """Ask for the job, follow it to its end and return it; a failed one is raised as the error that it ended with."""
    job_id = jobs.create(store, kind, params, project_id).id
    with worker(store) as watch:
        try:
            job = _follow(store, job_id, quiet, watch)
        except KeyboardInterrupt:
            err.print("\nStopped. Nothing is lost: give the same command again, and it goes on where it was.")
            raise SystemExit(130) from None
    if job.status is JobStatus.DONE:
        return job
    if job.error is None:
        raise UnskewError(f"The {kind.value} job was cancelled.", fix=f"Go on with it: unskew jobs resume {job_id}")
    rows = [RowError(row.row, row.field, row.value, row.message) for row in job.error.rows]
    raise UnskewError(job.error.detail, fix=job.error.fix, rows=rows)


def _follow(store: Store, job_id: str, quiet: bool, watch: Watch) -> api.Job:
    columns = (
        TextColumn("{task.fields[title]:<12}"),
        BarColumn(30),
        TextColumn("{task.fields[eta]:<12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.description}"), console=err, disable=quiet) as progress:
        bar = progress.add_task("waiting for a worker", total=1, title="", eta="")
        while True:
            with store.read() as session:
                job = jobs.as_schema(session, jobs.get(session, job_id))
            eta = "" if job.eta_seconds is None else f"{job.eta_seconds:.0f} s left"
            progress.update(
                bar, completed=job.done, total=job.total or 1, description=job.step, title=job.kind.value, eta=eta
            )
            if job.status in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED):
                if job.status is JobStatus.DONE:
                    progress.update(bar, completed=job.total or 1, total=job.total or 1, description="done", eta="")
                return job
            watch()
            time.sleep(POLL_SECONDS)
