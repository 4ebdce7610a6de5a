"""Trouble that is no kill: a locked database, clocks that jump, a full disk, a read-only folder, no more memory.

A worker that is frozen and thaws is in tests/jobs/test_train_job.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from jobs_house import DIGITS, ENDED, SERVE, House, free_port, training
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backend.services import doctor, groups
from backend.store import jobs, runs
from backend.store.db import is_busy
from unskew.client import Client
from unskew.errors import StorageError, UnskewError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus
from unskew.schemas.params import TrainJobParams

ELSEWHERE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]  # a command that sees file systems of its own
own_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode != 0,
    reason="this system lets nobody mount file systems for one process",
)


def seeds(house: House) -> list[int]:
    """Of the runs that the trouble was about."""
    with house.store.read() as session:
        return sorted(run.seed for run in runs.list_runs(session, DIGITS) if run.params["train"]["epochs"] != 2)


def healthy(house: House) -> bool:
    return [line for line in doctor.check(house.store, repair=True)["problems"] if "no row refers" not in line] == []


@pytest.mark.slow
def test_a_database_that_is_locked_for_32_seconds_costs_only_time(house: House) -> None:
    """One label waits for longer than anybody does, and is told so; one comes later, and waits; the job goes on."""
    made = groups.create(house.store, "digits", api.GroupSetCreate(name="locked", attribute="border"))
    example = groups.queue(house.store, made.id, limit=1).items[0].example.id
    said: dict[str, object] = {}

    def label(key: str) -> None:
        write = api.LabelWrite(key=key, example_id=example, group=0)
        try:
            said[key] = groups.write(house.store, made.id, api.LabelBatch(labels=[write]))
        except OperationalError as error:
            said[key] = error

    house.start()
    job_id = house.ask(JobKind.TRAIN, training([0, 1], 60), DIGITS)
    house.until(lambda: house.job(job_id).done > 0.1)
    holder = sqlite3.connect(house.store.data / "unskew.db", isolation_level=None, timeout=30)
    holder.execute("BEGIN IMMEDIATE")
    people = [threading.Thread(target=label, args=(f"locked-{n}",)) for n in range(2)]
    people[0].start()
    time.sleep(10)
    people[1].start()
    with house.store.read() as session:
        assert jobs.get(session, job_id).status == JobStatus.RUNNING  # reading goes on
    time.sleep(22)
    holder.execute("COMMIT")
    holder.close()
    for person in people:
        person.join(60)
    assert isinstance(said["locked-0"], OperationalError) and is_busy(said["locked-0"])  # the API says 503: try again
    assert not isinstance(said["locked-1"], Exception)
    house.done(job_id, 180)
    assert groups.get(house.store, made.id).n_labelled == 1 and seeds(house) == [0, 1]


def test_a_beat_of_another_time_keeps_nobody_alive(house: House) -> None:
    with house.store.session() as session:
        for slot in ("dead", "alive"):
            jobs.beat(session, slot)
        session.execute(text("UPDATE worker_beat SET beat = beat + 3600 WHERE id = 'dead'"))  # the clock was set back
    with house.store.read() as session:
        assert jobs.live_slots(session, 60) == {"alive"}
    with house.store.session() as session:
        session.execute(text("UPDATE worker_beat SET beat = beat - 7200"))  # the clock was set forward
        jobs.beat(session, "alive")  # a second later
    with house.store.read() as session:
        assert jobs.live_slots(session, 60) == {"alive"}


@pytest.mark.slow
def test_a_clock_that_jumps_both_ways_in_a_job_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = house.store.data / "clock"
    clock.write_text("0")
    monkeypatch.setenv("TEST_CLOCK", str(clock))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "clock"), prepend=os.pathsep)
    house.start(ttl=5.0)
    monkeypatch.delenv("TEST_CLOCK")
    monkeypatch.delenv("PYTHONPATH")
    job_id = house.ask(JobKind.TRAIN, training([0, 1, 2], 60), DIGITS)
    for n, jump in enumerate(("7200", "-7200", "0")):
        house.until(lambda n=n: house.job(job_id).done > 0.3 + n, 120)
        clock.write_text(jump)
    house.done(job_id, 180)
    assert seeds(house) == [0, 1, 2] and healthy(house)
    log = (house.store.data / "worker-a.log").read_text()
    hours = {datetime.strptime(line[:13], "%Y-%m-%d %H") for line in log.splitlines() if line[:2] == "20"}
    assert max(hours) - min(hours) >= timedelta(hours=3), "the worker's clock did not jump"


# ---------------------------------------------------------------- disks
def read_only(folder: Path) -> str:
    return f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}"'


def start_on(house: House, slot: str, mounts: str) -> subprocess.Popen[bytes]:
    """A worker that sees other file systems than we do: `mounts` are shell commands in a namespace of its own."""
    command = f'{mounts} && exec "{sys.executable}" -m workers --data "{house.store.data}" --slot {slot}'
    with (house.store.data / f"worker-{slot}.log").open("ab") as log:
        worker = subprocess.Popen([*ELSEWHERE, command], stdout=log, stderr=log)
    house.workers.append(worker)
    return worker


def fails_and_is_mended(house: House, mounts: str, says: str) -> None:
    """The job fails in words that help; on a sound disk it goes on and ends well."""
    start_on(house, "troubled", mounts)
    job_id = house.ask(JobKind.TRAIN, training([0], 3), DIGITS)
    row = house.until_ended(job_id, 120)
    assert row.status == JobStatus.FAILED and row.error is not None
    assert row.error["type"] == "storage" and says in row.error["detail"] and "Free some space" in row.error["fix"]
    house.end()
    house.workers.clear()
    house.start()
    jobs.resume(house.store, job_id)
    house.done(job_id, 120)
    assert seeds(house) == [0] and healthy(house)


@own_mounts
@pytest.mark.slow
def test_a_full_disk_fails_the_job_clearly_and_resume_ends_it(house: House) -> None:
    there = house.store.data / "artifacts" / "checkpoint"
    fails_and_is_mended(house, f'mount -t tmpfs -o size=4k tmpfs "{there}"', "No space left")


@own_mounts
@pytest.mark.slow
def test_a_read_only_folder_fails_the_job_clearly_and_resume_ends_it(house: House) -> None:
    fails_and_is_mended(house, read_only(house.store.data / "artifacts" / "checkpoint"), "Read-only")


@own_mounts
def test_a_data_folder_that_is_read_only_is_said_at_the_start(house: House) -> None:
    data = house.store.data
    outside = data.parent / "log"
    command = f'{read_only(data)} && exec "{sys.executable}" -m workers --data "{data}"'
    with outside.open("wb") as log:
        made = subprocess.run([*ELSEWHERE, command], stderr=log, timeout=120)
    assert made.returncode == 1
    assert "cannot be written: Read-only file system. Free some space or choose another folder" in outside.read_text()


@own_mounts
@pytest.mark.slow
def test_a_database_that_cannot_grow_pauses_jobs_and_refuses_labels_until_there_is_room(house: House) -> None:
    """Its disk alone is full: the job waits and goes on by itself; what was acknowledged is there, the rest is not."""
    data, port = house.store.data, free_port()
    made = groups.create(house.store, "digits", api.GroupSetCreate(name="full", attribute="border"))
    example = groups.queue(house.store, made.id, limit=1).items[0].example.id
    job_id = house.ask(JobKind.TRAIN, training([0, 1], 60), DIGITS)
    house.store.close()
    disk = data / "disk"
    disk.mkdir()
    size = sum(file.stat().st_size for file in data.glob("unskew.db*")) + 8 * 1024**2
    serve = f'"{sys.executable}" -c "{SERVE}" "{data}" {port} 2>"{data}/web.log" & echo $! >"{data}/web.pid"'
    start = f'mount -t tmpfs -o size={size} tmpfs "{disk}" && cp "{data}"/unskew.db* "{disk}/" && {{ {serve}; }}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSKEW_DATABASE_URL", f"sqlite:///{disk}/unskew.db")
        worker = start_on(house, "a", start)
    rest = Path(f"/proc/{worker.pid}/root{disk}/rest")  # on the file system that only they see
    server = Client(f"http://127.0.0.1:{port}")  # SQLite does not open files by such a path: the rest is asked here
    try:
        house.until(lambda: answers(server))
        house.until(lambda: server.job(job_id).done > 0.1)
        fill(rest)
        stored, refused = label_until_refused(server, made.id, example)
        assert refused is not None and "full" in refused.what, refused
        house.until(lambda: "is full" in (data / "worker-a.log").read_text(), 120)
        assert server.job(job_id).status == JobStatus.RUNNING
        assert n_events(server, made.id) == stored
        rest.unlink()
        house.until(lambda: server.job(job_id).status in ENDED, 180)
        assert server.job(job_id).status == JobStatus.DONE, server.job(job_id).error
        again, _ = label_until_refused(server, made.id, example, most=1, first=stored)
        assert again == 1 and n_events(server, made.id) == stored + 1
        assert sorted(run.seed for run in server.runs("digits") if run.params["train"]["epochs"] != 2) == [0, 1]
    finally:
        os.kill(int((data / "web.pid").read_text()), signal.SIGKILL)


def answers(server: Client) -> bool:
    try:
        return bool(server.projects())
    except UnskewError:
        return False


def fill(file: Path) -> None:
    """Take all the room that is left."""
    with file.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while True:
            rest.write(bytes(4096))


def label_until_refused(
    server: Client, group_set: int, example: int, *, most: int = 900, first: int = 0
) -> tuple[int, StorageError | None]:
    """How many labels were acknowledged, and what was said to the one after them."""
    for n in range(first, first + most):
        try:
            write = api.LabelWrite(key=f"full-{n:08d}", example_id=example, group=n % 2)
            server.write_labels(group_set, api.LabelBatch(labels=[write]))
        except StorageError as error:
            return n - first, error
    return most, None


def n_events(server: Client, group_set: int) -> int:
    return len(server.label_history(group_set, limit=1000))


# ---------------------------------------------------------------- memory
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.last = nn.Linear(768, n_classes)

    def forward(self, x):
        if self.training and len(x) > MOST:
            raise torch.OutOfMemoryError(f"no room for {len(x)} rows")
        return self.last(x.flatten(1))
"""


@pytest.fixture
def train_where(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """Train on a device that holds so many rows at a time; the job's number."""

    def ask(most: int) -> str:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "my_nets.py").write_text(NET.replace("MOST", str(most)))
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'code'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        house.start()
        wanted = TrainJobParams.model_validate(training([0]).model_dump() | {"model": {"factory": "my_nets:Net"}})
        return house.ask(JobKind.TRAIN, wanted, DIGITS)

    return ask


def test_memory_for_half_a_batch_is_enough(house: House, train_where: Callable[[int], str]) -> None:
    job_id = train_where(16)
    house.done(job_id, 90)
    assert any("2 parts because memory ran out" in line for line in house.log(job_id))


def test_memory_for_no_row_is_a_clear_failure(house: House, train_where: Callable[[int], str]) -> None:
    row = house.until_ended(train_where(0), 90)
    assert row.status == JobStatus.FAILED and row.error is not None
    assert "Memory ran out in training" in row.error["detail"] and "batch smaller than 32" in row.error["fix"]
    shutil.rmtree(house.store.data / "work", ignore_errors=True)
