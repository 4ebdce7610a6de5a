"""Attribution as a job: shared by two workers, taken up after kill -9, bit for bit what one worker makes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from jobs_house import DIGITS, House, training

from backend.store import attributions
from backend.store.db import Store
from unskew.schemas.enums import JobKind
from unskew.schemas.params import AttributeParams

PARAMS = AttributeParams(projection_in=4, projection_out=4, storage="float16")
CHUNKS = 3 * 2  # checkpoints × splits; the digits fit into one chunk a split


def made_here(log: list[str]) -> int:
    """Chunks that a job made itself."""
    return sum("examples a second" in line for line in log)


def arrays(house: House) -> dict[str, bytes]:
    with house.store.read() as session:
        (row,) = attributions.list_attributions(session, DIGITS)
        assert row.diagnostics["stated_peak_bytes"] > 0
        folder = house.store.artifacts.path(attributions.ATTRIBUTION, row.artifact)
        assert house.store.artifacts.problems(session) == []
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "data"
    shutil.copytree(digits_data, folder)
    house = House(Store.open(folder))
    house.start()
    house.done(house.ask(JobKind.TRAIN, training([0, 1, 2]), DIGITS))
    house.end()
    house.store.close()
    return folder


def copied(trained: Path, place: Path) -> House:
    shutil.copytree(trained, place)
    return House(Store.open(place))


@pytest.mark.slow
def test_two_workers_share_one_attribution_with_the_bits_of_one(trained: Path, tmp_path: Path) -> None:
    alone = copied(trained, tmp_path / "alone")
    alone.start()
    job = alone.ask(JobKind.ATTRIBUTE, PARAMS, DIGITS)
    alone.done(job)
    assert made_here(alone.log(job)) == CHUNKS
    truth = arrays(alone)
    alone.end()
    alone.store.close()

    shared = copied(trained, tmp_path / "shared")
    both = [shared.ask(JobKind.ATTRIBUTE, PARAMS.model_copy(update={"helper": i}), DIGITS) for i in range(2)]
    for slot in ("a", "b"):
        shared.start(slot)
    results = [shared.done(job, 120).result["attribution_id"] for job in both]
    assert results[0] == results[1]
    assert sum(made_here(shared.log(job)) for job in both) == CHUNKS  # each made once, by whichever
    assert arrays(shared) == truth
    shared.end()
    shared.store.close()


@pytest.mark.slow
def test_a_killed_attribution_repeats_no_finished_chunk(trained: Path, tmp_path: Path) -> None:
    house = copied(trained, tmp_path / "killed")
    worker = house.start()
    job = house.ask(JobKind.ATTRIBUTE, PARAMS, DIGITS)
    house.until(lambda: made_here(house.log(job)) >= 2)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    house.start()
    house.done(job)
    assert made_here(house.log(job)) in (CHUNKS, CHUNKS + 1)  # the chunk in hand may have lost its artifact
    arrays(house)
    house.end()
    house.store.close()
