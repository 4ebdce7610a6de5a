"""One battery by 1, 2, 4 … worker processes: seconds, and whether they come to the same results.

Every number of workers gets a copy of a real project of its own, on a database without other work. A worker computes
with one thread, so that it has no more than one core however many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, inspect, text

from backend.bench.server import working
from backend.services import backup
from backend.services import jobs as job_service
from backend.store import projects, runs, tables
from backend.store.db import Store
from unskew.errors import ConflictError, ServerError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus, Method
from unskew.schemas.params import BatteryParams

METHODS = (Method.RWY, Method.SUBY)
POLL_SECONDS = 0.25


def bench_workers(
    source: Store,
    slug: str,
    counts: Sequence[int],
    *,
    seeds: int = 4,
    url: str | None = None,
    scratch: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Seconds of the battery by number of workers, from its start to its end.

    Args:
        seeds: of each method; a training of each is what workers share out.
        url: of an empty Postgres database, which is empty again at the end; None: SQLite.
    Raises:
        ConflictError: the database has tables.
    """
    _refuse_tables(url)
    wanted = BatteryParams(methods=list(METHODS), seeds=list(range(seeds)), search_seeds=[0])
    rows: list[dict[str, Any]] = []
    first: dict[str, str] = {}
    with TemporaryDirectory(dir=scratch) as folder:
        archive = Path(folder) / "all.tar"
        backup.backup(source, archive)
        for n in counts:
            data = Path(folder) / f"with-{n}"
            backup.restore(archive, data, url)
            store = Store.open(data, url=url or f"sqlite:///{data / 'unskew.db'}")
            try:
                seconds, found = _battery(store, slug, wanted, n)
            finally:
                store.close()
                _emptied(url)
            first = first or found
            row = {"workers": n, "seconds": round(seconds, 1), "runs": len(found), "same_results": found == first}
            rows.append(row | {"speedup": round(rows[0]["seconds"] / seconds, 2) if rows else 1.0})
            tell(f"{n} workers: {seconds:.0f} s, results {'the same' if found == first else 'OTHER ONES'}")
    return {"database": "SQLite" if url is None else "Postgres", "cores": os.cpu_count(), "rows": rows}


def _battery(store: Store, slug: str, wanted: BatteryParams, n: int) -> tuple[float, dict[str, str]]:
    """Seconds, and digests of the predictions of every run of its methods."""
    with ExitStack() as stack:
        for number in range(n):
            stack.enter_context(working(store.data, store.url, slot=f"bench-{number}", threads=1))
        _until(lambda: len(job_service.workers(store)) == n, 60)
        began = time.monotonic()
        job = job_service.start(store, slug, api.JobCreate(kind=JobKind.BATTERY, params=wanted.model_dump(mode="json")))
        _until(lambda: job_service.get(store, job.id).status not in (JobStatus.QUEUED, JobStatus.RUNNING), 3600)
        seconds = time.monotonic() - began
    ended = job_service.get(store, job.id)
    if ended.status is not JobStatus.DONE:
        raise ServerError(f"The battery {ended.status}: {ended.error}", fix="See worker.log of the copy.")
    found: dict[str, str] = {}
    with store.read() as session:
        for run in runs.list_runs(session, projects.get(session, slug).id):
            if run.method in METHODS:
                files = store.artifacts.manifest(runs.PREDICTIONS, run.predictions)["files"]
                found[f"{run.method}, seed {run.seed}"] = " ".join(entry["sha256"] for entry in files.values())
    return seconds, found


def _until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ServerError(f"Nothing came of it within {seconds:.0f} s.", fix="See worker.log of the copy.")
        time.sleep(POLL_SECONDS)


def _refuse_tables(url: str | None) -> None:
    """Not even an empty table may be there: nobody must lose one that only looks unused."""
    if url is None:
        return
    engine = create_engine(url)
    try:
        found = inspect(engine)
        names = [f"{schema}.{name}" for schema in found.get_schema_names() for name in found.get_table_names(schema)]
        theirs = [name for name in names if not name.startswith("information_schema.")]
    finally:
        engine.dispose()
    if theirs:
        raise ConflictError(f"The database has tables already: {', '.join(theirs[:3])} …", fix="Name a new, empty one.")


def _emptied(url: str | None) -> None:
    """Take away what is ours; it was empty when it was given to us."""
    if url is None:
        return
    engine = create_engine(url)
    with engine.begin() as connection:
        tables.Base.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
        connection.execute(text("DROP SCHEMA IF EXISTS dbos CASCADE"))
    engine.dispose()
