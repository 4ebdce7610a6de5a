"""Importing registers everything or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobs_house import House, finished, import_digits

from backend.store import jobs, projects, tables
from unskew.errors import ConflictError
from unskew.schemas.enums import JobKind, JobStatus, Split
from unskew.schemas.params import ImportParams


def test_a_manifest_becomes_a_project_with_rows_attributes_and_pixels(house: House, digits_manifest: Path) -> None:
    house.start()
    number = import_digits(house, digits_manifest)
    manifest = pd.read_csv(digits_manifest)
    with house.store.read() as session:
        project = projects.get(session, number)
        assert (project.slug, project.class_names, project.attributes) == ("digits", ["high", "low"], ["border"])
        data = projects.data(house.store, session, project, attributes=["border"])
    for split, arrays in ((Split.TRAIN, data.train), (Split.VALIDATION, data.validation), (Split.TEST, data.test)):
        own = manifest[manifest["split"] == split.value]
        assert arrays is not None and arrays.inputs.shape == (len(own), 3, 16, 16)
        np.testing.assert_array_equal(arrays.attributes["border"], own["border"])
        np.testing.assert_array_equal(np.array(["high", "low"])[arrays.label], own["label"])
    with house.store.read() as session:
        assert house.store.artifacts.problems(session) == []
    assert not any((house.store.data / "work").iterdir())  # scratch is gone


def test_a_broken_image_fails_the_job_by_row_and_registers_nothing(
    house: House, digits_manifest: Path, tmp_path: Path
) -> None:
    manifest = pd.read_csv(digits_manifest)
    manifest["path"] = [str(digits_manifest.parent / path) for path in manifest["path"]]
    broken = tmp_path / "broken.png"
    broken.write_bytes((digits_manifest.parent / "007.png").read_bytes()[:60])
    manifest.loc[7, "path"] = str(broken)
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    house.start()
    job_id = house.ask(JobKind.IMPORT, ImportParams(source=str(tmp_path / "manifest.csv"), name="x", image_size=16))
    row = house.until_ended(job_id)
    assert row.status == JobStatus.FAILED
    assert row.error is not None and row.error["type"] == "data"
    assert [(problem["row"], problem["field"]) for problem in row.error["rows"]] == [(9, "path")]
    with house.store.read() as session:
        assert session.query(tables.Project).all() == [] and session.query(tables.Artifact).all() == []


def test_a_worker_killed_while_importing_leaves_nothing_half_registered(house: House, digits_manifest: Path) -> None:
    first = house.start()
    job_id = house.ask(JobKind.IMPORT, ImportParams(source=str(digits_manifest), name="digits", image_size=16))
    house.until(lambda: any(line.startswith("start ") for line in house.log(job_id)))
    first.kill()
    first.wait()
    with house.store.read() as session:
        n_projects, n_examples = session.query(tables.Project).count(), session.query(tables.Example).count()
    assert (n_projects, n_examples) in ((0, 0), (1, 240))
    house.start()
    house.done(job_id)
    with house.store.read() as session:
        assert (session.query(tables.Project).count(), session.query(tables.Example).count()) == (1, 240)
        assert house.store.artifacts.orphans(session) == []
    assert len(finished(house.log(job_id))) == len(set(finished(house.log(job_id))))


def test_the_same_request_twice_is_one_job_and_a_taken_name_is_refused(house: House, digits_manifest: Path) -> None:
    params = ImportParams(source=str(digits_manifest), name="digits", image_size=16)
    assert house.ask(JobKind.IMPORT, params) == house.ask(JobKind.IMPORT, params)
    house.start()
    import_digits(house, digits_manifest)
    with pytest.raises(ConflictError, match="'digits' already"):
        jobs.create(house.store, JobKind.IMPORT, params)
