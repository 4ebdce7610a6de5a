"""Workers on several machines: each has a data folder of its own; they share a real Postgres and a real S3 server."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jobs_house import DIGITS, House, finished, import_digits, training
from safetensors.numpy import load_file
from sqlalchemy import create_engine, delete, select, text

from backend.services import doctor
from backend.store import attributions, jobs, runs, tables
from backend.store.artifacts import Artifacts, content_id
from backend.store.db import Store
from backend.store.remote import Remote
from unskew.errors import ConflictError, SettingsError, StorageError
from unskew.schemas.enums import JobKind, JobStatus, Method
from unskew.schemas.params import AttributeParams, BatteryParams, DiscoverParams
from workers.__main__ import take_device

BATTERY = BatteryParams(
    methods=[Method.ERM, Method.AUTO_TRAK, Method.RANDOM_K, Method.RWG],
    seeds=[0, 1],
    search_seeds=[0],
    group_attribute="border",
)
TTL = 5.0


class Machines(House):
    """Workers that share the database and the artifact URL, and nothing else."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(store)
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def machine(self, name: str) -> None:
        """A worker as a person on another machine starts it: the two addresses, and nothing of ours."""
        command = [sys.executable, "-m", "backend.cli.main", "worker", "--slot", name, "--ttl", str(TTL)]
        command += ["--data", str(self.folder / name), "--database", self.store.url]
        command += ["--artifacts", os.environ["UNSKEW_ARTIFACTS"]]
        bare = {name: value for name, value in os.environ.items() if name != "UNSKEW_ARTIFACTS"}
        with (self.store.data / f"worker-{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=bare)
        self.workers.append(self.running[name])

    def machines(self, names: str) -> None:
        for name in names:
            self.machine(name)
        self.until(lambda: self.n_live() == len(names))

    def n_live(self) -> int:
        with self.store.read() as session:
            return jobs.n_workers(session, jobs.CPU_QUEUE)

    def at_work(self) -> set[str]:
        """Machines that hold a workflow."""
        flows = self.store.queue.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {str(flow.executor_id) for flow in flows} & set(self.running)

    def workers_of(self, job_id: str) -> set[str]:
        flows = self.store.queue.list_workflows(workflow_id_prefix=jobs.step_id(job_id, ""), load_input=False)
        return {str(flow.executor_id) for flow in flows}

    def prepare(self) -> None:
        self.done(self.ask(JobKind.TRAIN, training([0, 1], 6), DIGITS), 240)
        self.done(self.ask(JobKind.ATTRIBUTE, AttributeParams(projection_in=4, projection_out=4), DIGITS), 240)
        self.done(self.ask(JobKind.DISCOVER, DiscoverParams(n_directions=1), DIGITS), 240)

    def results(self) -> dict[str, str]:
        """Digests of what was made: predictions by method, K and seed; the attribution."""
        found = {}
        with self.store.read() as session:
            for run in runs.list_runs(session, DIGITS):
                name = f"{run.method}, K = {run.removed}, seed {run.seed}"
                assert name not in found, f"{name} was stored twice"
                files = self.store.artifacts.manifest(runs.PREDICTIONS, run.predictions)["files"]
                found[name] = " ".join(entry["sha256"] for entry in files.values())
            for row in session.scalars(select(tables.Attribution)):
                files = self.store.artifacts.manifest(attributions.ATTRIBUTION, row.artifact)["files"]
                found["attribution"] = " ".join(entry["sha256"] for entry in files.values())
        return found


@pytest.fixture
def machines(
    postgres_url: str, s3_url: str, tmp_path: Path, digits_manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machines]:
    """Four machines, and a fifth place for the web process."""
    name = f"machines_{uuid.uuid4().hex[:8]}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    monkeypatch.setenv("UNSKEW_ARTIFACTS", s3_url)
    store = Store.open(tmp_path / "web", url=postgres_url.rsplit("/", 1)[0] + f"/{name}")
    made = Machines(store, tmp_path)
    made.machines("abcd")
    import_digits(made, digits_manifest)
    yield made
    made.end()
    store.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, digits_data: Path) -> dict[str, str]:
    """What one worker makes by itself, on SQLite and its own disk."""
    folder = tmp_path_factory.mktemp("alone") / "data"
    shutil.copytree(digits_data, folder)
    house = Machines(Store.open(folder), folder.parent)
    house.start()
    house.prepare()
    house.done(house.ask(JobKind.BATTERY, BATTERY, DIGITS), 400)
    found = house.results()
    house.end()
    house.store.close()
    return found


@pytest.mark.slow
@pytest.mark.postgres
def test_a_battery_on_four_machines_of_which_one_dies_ends_by_itself_with_the_same_results(
    machines: Machines, alone: dict[str, str]
) -> None:
    machines.prepare()
    job_id = machines.ask(JobKind.BATTERY, BATTERY, DIGITS)
    machines.until(lambda: machines.job(job_id).done >= 3 and len(machines.at_work()) > 2, 240)
    lost = random.Random(0).choice(sorted(machines.at_work()))
    machines.running[lost].kill()
    said = f"taking over the jobs of {lost}"
    logs = [machines.store.data / f"worker-{name}.log" for name in "abcd"]
    machines.until(lambda: any(said in log.read_text() for log in logs), TTL + 30)
    row = machines.done(job_id, 400)
    assert machines.results() == alone
    assert len(machines.workers_of(job_id)) > 2 and row.done == row.total
    assert len(set(finished(machines.log(job_id)))) == row.total
    with machines.store.read() as session:
        assert machines.store.artifacts.problems(session) == []
    assert not [line for line in doctor.check(machines.store, repair=True)["problems"] if "no row refers" not in line]


@pytest.mark.slow
@pytest.mark.postgres
def test_a_battery_on_four_machines_is_cancelled_and_resumed(machines: Machines, alone: dict[str, str]) -> None:
    machines.prepare()
    job_id = machines.ask(JobKind.BATTERY, BATTERY, DIGITS)
    machines.until(lambda: machines.job(job_id).done >= 3 and len(machines.at_work()) > 2, 240)
    jobs.cancel(machines.store, job_id)
    assert machines.until_ended(job_id).status == JobStatus.CANCELLED
    jobs.resume(machines.store, job_id)
    machines.until(machines.at_work, 240)
    jobs.cancel(machines.store, job_id)
    jobs.resume(machines.store, job_id)  # before every machine has noticed
    row = machines.done(job_id, 400)
    assert machines.results() == alone
    ended = finished(machines.log(job_id))
    assert len(ended) == len(set(ended)) == row.total == row.done, "every step ended once"


# ---------------------------------------------------------------- one training on several devices
@pytest.mark.slow
def test_two_processes_of_one_worker_train_together(digits: House) -> None:
    alone = digits.ask(JobKind.TRAIN, training([0], 4), DIGITS)
    assert digits.start("one", 60.0, "--once").wait(120) == 0
    (one,) = states(digits)
    with digits.store.session() as session:
        session.execute(delete(tables.Metric).where(tables.Metric.job_id == alone))
        session.execute(delete(tables.Run))
    shutil.rmtree(digits.store.data / "artifacts" / "checkpoint")
    shutil.rmtree(digits.store.data / "artifacts" / "predictions")
    job_id = digits.ask(JobKind.TRAIN, training([0], 4), DIGITS)
    assert digits.start("two", 60.0, "--once", "--device", "cpu,cpu").wait(180) == 0
    assert digits.job(job_id).status == JobStatus.DONE, digits.log(job_id)
    (two,) = states(digits)
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-3, atol=1e-4)
    assert any(not np.array_equal(two[name], values) for name, values in one.items()), "nothing was added up"


def states(house: House) -> list[dict[str, np.ndarray]]:
    with house.store.read() as session:
        rows = runs.list_runs(session, DIGITS)
    path = house.store.artifacts.path
    return [load_file(path(runs.CHECKPOINT, str(row.checkpoint), runs.CHECKPOINT_FILE)) for row in rows]


def test_a_device_belongs_to_one_worker() -> None:
    held = take_device("meta")  # torch's device without memory: here on every machine
    with pytest.raises(ConflictError, match="Another worker of this machine has meta"):
        take_device("meta")
    del held
    assert take_device("meta") is not None and take_device("cpu") is None
    with pytest.raises(SettingsError, match=r"cuda:99 cannot be used.*--device cpu"):
        take_device("cuda:99")


# ---------------------------------------------------------------- shared artifacts
def _write(folder: Path) -> None:
    (folder / "a.txt").write_text("a" * 1000)


def test_an_artifact_made_on_one_machine_is_whole_on_another(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'shared'}"
    here, there = (Artifacts(tmp_path / name, Remote(url)) for name in ("here", "there"))
    number = content_id(what="x")
    assert not there.exists("scores", number)
    here.make("scores", number, _write)
    assert there.exists("scores", number)
    assert there.path("scores", number, "a.txt").read_text() == "a" * 1000
    there.remove("scores", number)
    assert not (tmp_path / "shared" / "scores" / number).exists()


def test_a_shared_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path / 'shared'}")
    number = content_id(what="x")
    Artifacts(tmp_path / "here", remote).make("scores", number, _write)
    (tmp_path / "shared" / "scores" / number / "a.txt").write_text("b" * 1000)
    with pytest.raises(StorageError, match="checksum"):
        Artifacts(tmp_path / "there", remote).path("scores", number, "a.txt")
    assert not list((tmp_path / "there").glob("*/*"))


def test_a_half_sent_artifact_does_not_exist(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path / 'shared'}")
    number = content_id(what="x")
    Artifacts(tmp_path / "here", remote).make("scores", number, _write)
    (tmp_path / "shared" / "scores" / number / "manifest.json").unlink()
    assert not Artifacts(tmp_path / "there", remote).exists("scores", number)


def test_an_address_that_nobody_understands_is_named() -> None:
    with pytest.raises(SettingsError, match="nosuch"):
        Remote("nosuch://bucket/x")


# ---------------------------------------------------------------- queues by device
def test_work_that_gains_from_a_gpu_waits_for_one_where_there_is_one(digits: House) -> None:
    with digits.store.session() as session:
        assert jobs.queue_for(session, JobKind.TRAIN) == jobs.CPU_QUEUE
        jobs.beat(session, "host/cuda:0", "cuda:0")
        jobs.beat(session, "host/cpu", "cpu")
        assert jobs.queue_for(session, JobKind.TRAIN) == jobs.GPU_QUEUE
        assert jobs.queue_for(session, JobKind.IMPORT) == jobs.CPU_QUEUE
        assert jobs.n_workers(session, jobs.CPU_QUEUE) == 2 and jobs.n_workers(session, jobs.GPU_QUEUE) == 1
        session.query(tables.WorkerBeat).filter(tables.WorkerBeat.id == "host/cuda:0").delete()
        assert jobs.queue_for(session, JobKind.TRAIN) == jobs.CPU_QUEUE
