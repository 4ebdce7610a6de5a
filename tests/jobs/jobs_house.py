"""Real workers as subprocesses on a real small project, and ways to watch them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backend.store import jobs, tables
from backend.store.db import Store
from unskew.schemas.enums import JobKind, JobStatus
from unskew.schemas.params import ImportParams, ModelSpec, Params, TrainJobParams, TrainParams

ENDED = (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)
TINY = ModelSpec(kwargs={"width": 4})
DIGITS = 1  # the number of the registered project


class House:
    """One data folder with its workers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, slot: str = "a", ttl: float = 60.0, *flags: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", "--data", str(self.store.data), "--slot", slot, "--ttl", str(ttl)]
        with (self.store.data / f"worker-{slot}.log").open("ab") as log:
            environment = os.environ | {"UNSKEW_DATABASE_URL": self.store.url}
            worker = subprocess.Popen([*command, *flags], stdout=log, stderr=log, env=environment)
        self.workers.append(worker)
        return worker

    def ask(self, kind: JobKind, params: Params, project_id: int | None = None) -> str:
        return jobs.create(self.store, kind, params, project_id).id

    def job(self, job_id: str) -> tables.Job:
        with self.store.read() as session:
            return jobs.get(session, job_id)

    def log(self, job_id: str) -> list[str]:
        with self.store.read() as session:
            return [line.text for line in jobs.log_lines(session, job_id)]

    def until(self, true: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait for something to become true; the workers' logs are in the failure's message."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                logs = [path.read_text()[-2000:] for path in self.store.data.glob("worker-*.log")]
                raise AssertionError(f"not within {seconds} s; workers say: {' '.join(logs)}")
            time.sleep(0.02)

    def until_ended(self, job_id: str, seconds: float = 60.0) -> tables.Job:
        self.until(lambda: self.job(job_id).status in ENDED, seconds)
        return self.job(job_id)

    def done(self, job_id: str, seconds: float = 60.0) -> tables.Job:
        row = self.until_ended(job_id, seconds)
        assert row.status == JobStatus.DONE, (row.error, self.log(job_id)[-1:])
        return row

    def end(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            worker.wait(15)


def started(log: list[str]) -> list[str]:
    """Titles of the steps that began, in order, repeats included."""
    return [line.split(": ", 1)[1] for line in log if line.startswith("start ")]


def finished(log: list[str]) -> list[str]:
    """Titles of the steps that ended well, in order."""
    return [line.split(": ", 1)[1].rsplit(" (", 1)[0] for line in log if line.startswith("end ")]


def import_digits(house: House, manifest: Path) -> int:
    """Register the digits; the project's number."""
    params = ImportParams(source=str(manifest), name="digits", image_size=16)
    number: int = house.done(house.ask(JobKind.IMPORT, params)).result["project_id"]
    return number


def training(seeds: list[int], epochs: int = 2) -> TrainJobParams:
    return TrainJobParams(model=TINY, train=TrainParams(epochs=epochs, batch_size=32), seeds=seeds)


SERVE = (
    "import sys; from backend.store.db import Store; from backend.api.serve import serve; "
    "serve(Store.open(sys.argv[1]), port=int(sys.argv[2]), ui=False)"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_web(store: Store, port: int) -> subprocess.Popen[bytes]:
    """The web process of a store, without the dashboard."""
    environment = os.environ | {"UNSKEW_DATABASE_URL": store.url}
    with (store.data / "web.log").open("ab") as log:
        command = [sys.executable, "-c", SERVE, str(store.data), str(port)]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)
