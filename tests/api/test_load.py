"""The measurements of many people and many workers: all are served, nothing is lost. How fast is for them to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_house import PROJECT, House

from backend.bench.load import bench_load
from backend.bench.workers import bench_workers


@pytest.mark.slow
def test_everybody_is_served_while_a_job_trains(house: House, tmp_path: Path) -> None:
    found = bench_load(house.store, PROJECT, annotators=6, browsers=3, seconds=12, scratch=tmp_path)
    assert found["errors"] == {} and found["labels_lost"] == 0
    assert found["label"]["n"] > 5 and found["read"]["n"] > 5
    assert found["training_ran_all_the_time"]


@pytest.mark.slow
@pytest.mark.postgres
def test_on_postgres_too(house: House, tmp_path: Path, postgres_database: str) -> None:
    found = bench_load(
        house.store, PROJECT, annotators=6, browsers=3, seconds=12, url=postgres_database, scratch=tmp_path
    )
    assert (found["errors"], found["labels_lost"], found["database"]) == ({}, 0, "Postgres")


@pytest.mark.slow
@pytest.mark.postgres
def test_two_workers_come_to_the_results_of_one(house: House, tmp_path: Path, postgres_database: str) -> None:
    found = bench_workers(house.store, PROJECT, [1, 2], seeds=2, url=postgres_database, scratch=tmp_path)
    assert [(row["workers"], row["runs"], row["same_results"]) for row in found["rows"]] == [(1, 4, True), (2, 4, True)]
