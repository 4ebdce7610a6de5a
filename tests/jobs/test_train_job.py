"""Training jobs survive kill -9 at any moment, with the same bits and without repeating what was finished."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from jobs_house import DIGITS, House, finished, started, training
from safetensors.numpy import load_file

from backend.store import jobs, runs, tables
from backend.store.db import Store
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.schemas.enums import JobKind, JobStatus, Method, Split
from unskew.schemas.params import AttributeParams, DiscoverParams, RetrainParams, TrainJobParams

LONG = 120  # epochs that take several seconds here: time enough to be killed or cancelled in


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, digits_data: Path) -> dict[int, bytes]:
    """Checkpoint bytes of a job that nobody disturbed, by seed."""
    folder = tmp_path_factory.mktemp("calm") / "data"
    shutil.copytree(digits_data, folder)
    calm = House(Store.open(folder))
    calm.start()
    calm.done(calm.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS))
    found = checkpoints(calm, DIGITS)
    calm.end()
    calm.store.close()
    return found


def checkpoints(house: House, project_id: int) -> dict[int, bytes]:
    with house.store.read() as session:
        rows = runs.erm_runs(session, project_id)
    path = house.store.artifacts.path
    return {row.seed: path(runs.CHECKPOINT, str(row.checkpoint), runs.CHECKPOINT_FILE).read_bytes() for row in rows}


def middle_of_second_step(house: House, job_id: str) -> bool:
    """Whether the first seed is finished and the second has trained a few epochs."""
    with house.store.read() as session:
        return any(m.title == "erm, seed 1" and m.epoch >= 3 for m in jobs.metrics(session, job_id))


def check_undisturbed(house: House, project_id: int, job_id: str, expected: dict[int, bytes]) -> None:
    assert checkpoints(house, project_id) == expected
    log = house.log(job_id)
    assert finished(log) == ["ERM, seed 0", "ERM, seed 1", "ERM, seed 2"]
    assert started(log) == ["ERM, seed 0", "ERM, seed 1", "ERM, seed 1", "ERM, seed 2"]
    with house.store.read() as session:
        points = [(m.title, m.name, m.epoch) for m in jobs.metrics(session, job_id)]
        assert house.store.artifacts.problems(session) == []
    assert len(points) == len(set(points))


@pytest.mark.slow
def test_kill_9_in_training_then_the_same_slot(digits: House, undisturbed: dict[int, bytes]) -> None:
    first = digits.start()
    job_id = digits.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS)
    digits.until(lambda: middle_of_second_step(digits, job_id))
    first.kill()
    first.wait()
    assert digits.job(job_id).status == JobStatus.RUNNING
    digits.start()
    digits.done(job_id)
    check_undisturbed(digits, DIGITS, job_id, undisturbed)


@pytest.mark.slow
def test_kill_9_in_training_then_another_slot_takes_over(digits: House, undisturbed: dict[int, bytes]) -> None:
    first = digits.start("a", 5.0)
    job_id = digits.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS)
    digits.until(lambda: middle_of_second_step(digits, job_id))
    digits.start("b", 5.0)
    first.kill()
    first.wait()
    digits.done(job_id)
    check_undisturbed(digits, DIGITS, job_id, undisturbed)
    assert "taking over the jobs of a" in (digits.store.data / "worker-b.log").read_text()


@pytest.mark.slow
def test_sigterm_in_training_hands_the_job_on(digits: House, undisturbed: dict[int, bytes]) -> None:
    first = digits.start()
    job_id = digits.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS)
    digits.until(lambda: middle_of_second_step(digits, job_id))
    first.terminate()
    assert first.wait(10) == 0
    with digits.store.read() as session:
        assert not jobs.worker_alive(session)
    digits.start("b")  # at once: a worker that left in good order is known to be gone
    digits.done(job_id)
    check_undisturbed(digits, DIGITS, job_id, undisturbed)


@pytest.mark.slow
def test_cancel_stops_a_long_step_and_resume_goes_on(digits: House, undisturbed: dict[int, bytes]) -> None:
    digits.start()
    job_id = digits.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS)
    digits.until(lambda: middle_of_second_step(digits, job_id))
    jobs.cancel(digits.store, job_id)
    assert digits.job(job_id).status == JobStatus.CANCELLED
    digits.until(lambda: any("what is finished is kept" in line for line in digits.log(job_id)), 20)

    def n_points() -> int:
        with digits.store.read() as session:
            return len(jobs.metrics(session, job_id))

    before = n_points()
    jobs.resume(digits.store, job_id)
    digits.until(lambda: n_points() > before)
    jobs.cancel(digits.store, job_id)
    jobs.resume(digits.store, job_id)  # before the step has noticed: it must end all the same, for it is begun anew
    row = digits.done(job_id)
    log = digits.log(job_id)
    assert (row.done, row.total, row.error) == (3, 3, None)
    assert len(set(finished(log))) == len(finished(log)) == 3
    assert sum("what is finished is kept" in line for line in log) == 2
    assert checkpoints(digits, DIGITS) == undisturbed
    assert n_points() > before


def test_a_queued_job_is_cancelled_without_a_worker_and_resumed(digits: House) -> None:
    worker = digits.start()
    worker.terminate()
    worker.wait()
    job_id = digits.ask(JobKind.TRAIN, training([0]), DIGITS)
    jobs.cancel(digits.store, job_id)
    other = digits.ask(JobKind.TRAIN, training([1]), DIGITS)
    digits.start()
    digits.done(other)
    assert (digits.job(job_id).status, digits.log(job_id)) == (JobStatus.CANCELLED, ["cancelled"])
    with pytest.raises(ConflictError, match="cancelled already"):
        jobs.cancel(digits.store, job_id)
    jobs.resume(digits.store, job_id)
    digits.done(job_id)
    with pytest.raises(ConflictError, match="is done"):
        jobs.resume(digits.store, job_id)


def test_runs_have_checkpoint_predictions_curves_and_are_found_again(digits: House) -> None:
    digits.start()
    first = digits.done(digits.ask(JobKind.TRAIN, training([0, 1]), DIGITS))
    with digits.store.read() as session:
        (row, _) = runs.list_runs(session, DIGITS)
        names = {m.name for m in jobs.metrics(session, first.id)}
    assert (row.method, row.seed, row.removed, row.n_train) == (Method.ERM, 0, 0, 160)
    assert names == {"train_loss", "validation_loss", "validation_accuracy", "worst_class_accuracy"}
    for split in (Split.VALIDATION, Split.TEST):
        found = runs.predictions(digits.store.artifacts, row, split)
        assert found.prediction.shape == found.loss.shape == (40,)
    state = load_file(digits.store.artifacts.path(runs.CHECKPOINT, str(row.checkpoint), runs.CHECKPOINT_FILE))
    assert sum(values.size for values in state.values()) > 0
    second = digits.done(digits.ask(JobKind.TRAIN, training([1, 0]), DIGITS))
    assert second.id != first.id and second.result == first.result
    assert sum("already there" in line for line in digits.log(second.id)) == 2


def test_a_user_mistake_in_a_job_is_told_with_its_fix_and_mended_by_resume(
    digits: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'code'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    digits.start()
    params = TrainJobParams.model_validate(training([0]).model_dump() | {"model": {"factory": "my_nets:net"}})
    job_id = digits.ask(JobKind.TRAIN, params, DIGITS)
    row = digits.until_ended(job_id)
    assert row.status == JobStatus.FAILED and row.error is not None
    assert row.error["type"] == "model" and "my_nets" in row.error["detail"] and row.error["fix"]
    (tmp_path / "code" / "my_nets.py").write_text("from unskew.models import small_cnn as net\n")
    jobs.resume(digits.store, job_id)
    digits.done(job_id)


def test_an_error_of_ours_fails_the_job_with_its_traceback(
    digits: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_nets.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, n_classes):\n        super().__init__()\n"
        "        self.last = nn.Linear(768, n_classes)\n    def forward(self, x):\n        return 1 / 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'code'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    digits.start()
    params = TrainJobParams.model_validate(training([0]).model_dump() | {"model": {"factory": "my_nets:Net"}})
    job_id = digits.ask(JobKind.TRAIN, params, DIGITS)
    row = digits.until_ended(job_id)
    assert row.status == JobStatus.FAILED and row.error is not None
    assert "ZeroDivisionError" in row.error["detail"]
    assert "Traceback" in digits.log(job_id)[-1] and "my_nets.py" in digits.log(job_id)[-1]
    digits.done(digits.ask(JobKind.TRAIN, training([0]), DIGITS))  # the worker goes on with the next job


def test_jobs_whose_basis_is_missing_say_which_step_comes_first(digits: House) -> None:
    digits.start()
    with pytest.raises(ConflictError, match="Train ERM checkpoints first"):
        jobs.create(digits.store, JobKind.ATTRIBUTE, AttributeParams(), DIGITS)
    with pytest.raises(ConflictError, match="Attribute the ERM checkpoints first"):
        jobs.create(digits.store, JobKind.DISCOVER, DiscoverParams(), DIGITS)
    with pytest.raises(ConflictError, match="prune set"):
        jobs.create(digits.store, JobKind.RETRAIN, RetrainParams(), DIGITS)
    with pytest.raises(NotFoundError, match="no project 99"):
        jobs.create(digits.store, JobKind.TRAIN, TrainJobParams(), 99)
    with pytest.raises(SettingsError, match=r"train\.epochs.*-1"):
        jobs.validated(JobKind.TRAIN, {"train": {"epochs": -1}})
    with digits.store.read() as session:
        assert session.query(tables.Job).count() == 1


def test_once_ends_when_no_job_is_left(digits: House) -> None:
    job_id = digits.ask(JobKind.TRAIN, training([0]), DIGITS)
    assert digits.start("a", 60.0, "--once").wait(30) == 0
    assert digits.job(job_id).status == JobStatus.DONE
    assert digits.start("a", 60.0, "--once").wait(20) == 0


def test_two_workers_cannot_share_a_slot(digits: House) -> None:
    def alive() -> bool:
        with digits.store.read() as session:
            return "a" in jobs.live_slots(session)

    digits.start("a")
    digits.until(alive)
    assert digits.start("a").wait(20) == 1
    assert "another --slot" in (digits.store.data / "worker-a.log").read_text()


def freeze(house: House, worker: subprocess.Popen[bytes]) -> None:
    """SIGSTOP between two transactions: one frozen while it writes would hold SQLite's write lock until it thaws."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        probe = sqlite3.connect(house.store.data / "unskew.db", timeout=0.5, isolation_level=None)
        try:
            probe.execute("BEGIN IMMEDIATE")
            probe.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            worker.send_signal(signal.SIGCONT)
        finally:
            probe.close()


@pytest.mark.slow
def test_a_worker_that_sleeps_past_its_time_is_fenced(digits: House, undisturbed: dict[int, bytes]) -> None:
    """SIGSTOP past the time limit, takeover, SIGCONT: the late one may not record or fail anything."""
    first = digits.start("a", 3.0)
    job_id = digits.ask(JobKind.TRAIN, training([0, 1, 2], LONG), DIGITS)
    digits.until(lambda: middle_of_second_step(digits, job_id))
    freeze(digits, first)
    digits.start("b", 3.0)
    digits.until(lambda: started(digits.log(job_id)).count("ERM, seed 1") == 2)
    first.send_signal(signal.SIGCONT)
    row = digits.done(job_id)
    assert row.error is None and checkpoints(digits, DIGITS) == undisturbed
    with digits.store.read() as session:
        assert len(runs.list_runs(session, DIGITS)) == 3
