"""What a step gets to work with: the store, its job, and ways to report, to log and to learn that it was cancelled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backend.store import jobs, tables
from backend.store.db import Store
from unskew.schemas import params

Step = dict[str, Any]  # {"title": for a person, "beside": may run beside its neighbours, …: arguments}; JSON
REPORT_SECONDS = 0.5
POLL_SECONDS = 0.3  # a look at one row costs about a millisecond


@dataclass
class Context:
    """One job in this process. `position` and `total` place the step in the job."""

    store: Store
    job_id: str
    project_id: int | None
    params: params.Params
    device: str
    position: int = 0
    total: int = 1
    title: str = ""
    clock: Clock = field(default_factory=lambda: Clock())
    beside: bool = False  # other steps of the job run at the same time, elsewhere
    since: int = 0  # the line of the log that the step began with
    _reported: float = 0.0
    _polled: float = 0.0
    _cancelled: bool = False

    @property
    def scratch(self) -> Path:
        """A folder that survives a kill and is removed when the job is done."""
        folder = self.store.data / "work" / self.job_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def project(self) -> tables.Project:
        from backend.store import projects

        assert self.project_id is not None
        with self.store.read() as session:
            return projects.get(session, self.project_id)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """How far this step is; written at most twice a second."""
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        overall = self.position + (min(1.0, done / total) if total else 0.0)
        values: dict[str, Any] = {"step": (f"{self.title}: {text}" if text else self.title)[:200]}
        if not self.beside:  # otherwise finished steps are counted
            values |= {"done": overall, "eta_seconds": self.clock.eta(overall, self.total)}
        with self.store.session() as session:
            jobs.change(session, self.job_id, **values)

    def log(self, text: str) -> None:
        with self.store.session() as session:
            jobs.log(session, self.job_id, text)

    def should_stop(self) -> bool:
        """Whether somebody cancelled the job; asked of the database a few times a second at most."""
        now = time.monotonic()
        if not self._cancelled and now - self._polled >= POLL_SECONDS:
            self._polled = now
            with self.store.read() as session:
                self._cancelled = jobs.is_cancelled(session, self.job_id, self.since)
        return self._cancelled


@dataclass
class Clock:
    """Time left, from the pace since this process took the job up."""

    started: float = field(default_factory=time.monotonic)
    at_start: float | None = None

    def eta(self, done: float, total: int) -> float | None:
        if self.at_start is None:
            self.at_start = done
        gained, seconds = done - self.at_start, time.monotonic() - self.started
        return seconds * (total - done) / gained if gained > 0 else None


class Kind(Protocol):
    """A job kind: a module with these two functions. Both may run again after a kill, and then find their results."""

    def plan(self, context: Context) -> list[Step]: ...

    def run(self, context: Context, step: Step) -> dict[str, Any]: ...
