"""The measurements of many people and many workers: all are served, nothing is lost. How fast is for them to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_house import PROJECT, House
from sqlalchemy import create_engine, inspect, text

from backend.bench.load import bench_load
from backend.bench.workers import bench_workers
from unskew.errors import ConflictError


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
    engine = create_engine(postgres_database)
    assert inspect(engine).get_table_names() == [] and "dbos" not in inspect(engine).get_schema_names()
    engine.dispose()


@pytest.mark.postgres
def test_a_database_with_somebodys_table_is_not_touched(shared: House, tmp_path: Path, postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (n integer)"))
    with pytest.raises(ConflictError, match=r"public\.theirs"):
        bench_workers(shared.store, PROJECT, [1], url=postgres_database, scratch=tmp_path)
    assert inspect(engine).get_table_names() == ["theirs"]
    engine.dispose()
