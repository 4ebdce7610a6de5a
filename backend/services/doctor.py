"""The doctor: does every file still hold what was written, does the database, and does anything lie around unused?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from backend.store import health, jobs
from backend.store.db import Store
from unskew.errors import ConflictError
from unskew.schemas.enums import JobKind

LOW_BYTES = 1_000_000_000
OLD_SECONDS = 24 * 3600  # a backup of much data takes hours


def check(store: Store, *, repair: bool = False) -> dict[str, Any]:
    """Read every artifact and compare its checksum; `repair` removes what no row refers to.

    Returns:
        database, data, artifacts (number), workers, free_bytes, problems (sentences), repaired (number).
    Raises:
        ConflictError: `repair` while a job is queued or running, because it may be writing one of those folders.
    """
    with store.read() as session:
        active = jobs.n_active(session)
        problems = health.database(session) + store.artifacts.problems(session)
        orphans = store.artifacts.orphans(session)
        scratch = _left_over(store, jobs.unfinished(session))
        n, workers = health.n_artifacts(session), sorted(jobs.live_slots(session))
    if active and repair:
        raise ConflictError(f"{active} jobs are queued or running.", fix="Let them end or cancel them, then repair.")
    if not active:
        problems += [f"no row refers to artifacts/{kind}/{name}" for kind, name in orphans]
        problems += [f"left over: {path.relative_to(store.data)}" for path in scratch]
    elif not workers:
        problems.append(f"{active} jobs wait, but no worker is alive: start one with `unskew worker`")
    free = shutil.disk_usage(store.data).free
    if free < LOW_BYTES:
        problems.append(f"only {free / 1e6:,.0f} MB are free on the disk of {store.data}")
    if repair:
        for kind, name in orphans:
            store.artifacts.discard(kind, name)
        for path in scratch:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {
        "database": make_url(store.url).render_as_string(hide_password=True),
        "data": str(store.data),
        "artifacts": n,
        "workers": workers,
        "free_bytes": free,
        "problems": problems,
        "repaired": len(orphans) + len(scratch) if repair else 0,
    }


def _left_over(store: Store, unfinished: Collection[str]) -> list[Path]:
    """What was killed half-way in `work` and `thumbnails`, and scratch of jobs that ended on another machine.

    A young file that belongs to no job may be in use.
    """
    others = list((store.data / "thumbnails").glob("*/.*.webp.*"))
    found = []
    for path in (store.data / "work").iterdir():
        if path.name.rpartition("-")[0] not in set(JobKind):
            others.append(path)
        elif path.name not in unfinished:
            found.append(path)
    return found + [path for path in others if path.stat().st_mtime < time.time() - OLD_SECONDS]
