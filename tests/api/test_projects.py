"""Projects: the dry run, the list, how far a project is, and its end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from api_house import PROJECT, House, problem

from unskew.errors import ConflictError, NotFoundError
from unskew.schemas.enums import JobKind, Method, Split
from unskew.schemas.params import ImportParams


def test_a_dry_run_says_what_there_is(empty: House, digits_manifest: Path) -> None:
    found = empty.client.check_import(ImportParams(source=str(digits_manifest), name="x", image_size=16))
    assert found.ok and found.n_rows == 240 and found.attributes == ["border"] and found.class_names == ["high", "low"]
    assert sum(count.n for count in found.counts) == 240
    assert empty.client.projects() == [], "a dry run registers nothing"


def test_a_dry_run_names_the_rows_at_fault(empty: House, digits_manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(digits_manifest.parent, folder)
    (folder / "003.png").unlink()
    text = (folder / "manifest.csv").read_text().replace("004.png,", "004.png,", 1)
    lines = text.splitlines()
    lines[5] = lines[5].replace("train", "trian")
    (folder / "manifest.csv").write_text("\n".join(lines))
    found = empty.client.check_import(ImportParams(source=str(folder / "manifest.csv"), name="x", image_size=16))
    assert not found.ok and found.n_problems == 2
    assert {(row.row, row.field) for row in found.problems} == {(5, "path"), (6, "split")}


def test_the_demo_passes_the_dry_run_before_it_is_painted(empty: House) -> None:
    assert empty.client.check_import(ImportParams(source="demo", name="Demo", image_size=32)).ok


def test_a_project_knows_its_counts_and_steps(shared: House) -> None:
    [listed] = shared.client.projects()
    detail = shared.client.project(PROJECT)
    assert (listed.n_train, listed.n_validation, listed.n_test) == (160, 40, 40)
    assert detail.model_dump(include=set(listed.model_dump())) == listed.model_dump()
    by_attribute = [row for row in detail.attribute_counts if row.split is Split.TRAIN]
    assert sum(row.n for row in by_attribute) == 160
    steps = {step.key: step for step in detail.steps}
    assert [key for key, step in steps.items() if not step.done] == ["report"]
    assert steps["models"].detail == "2 checkpoints" and "border" in steps["label"].detail


def test_runs_and_attributions(shared: House) -> None:
    runs = shared.client.runs(PROJECT)
    assert {run.method for run in runs} == {Method.ERM, Method.TRAK, Method.AUTO_TRAK, Method.RANDOM_K, Method.SUBG}
    erm = next(run for run in runs if run.method is Method.ERM)
    assert erm.has_checkpoint and sum(group.accuracy.n for group in erm.class_accuracy) == 40
    [attribution] = shared.client.attributions(PROJECT)
    assert (attribution.n_train, attribution.n_targets, attribution.stale) == (160, 40, False)


def test_what_is_not_there_is_a_problem_with_a_way_out(shared: House) -> None:
    problem(shared.http.get("/api/v1/projects/nothing"), 404, "nothing", PROJECT)
    with pytest.raises(NotFoundError, match="digits"):
        shared.client.project("nothing")


def test_the_same_name_twice_is_refused(shared: House, digits_manifest: Path) -> None:
    with pytest.raises(ConflictError, match="digits"):
        shared.client.import_project(ImportParams(source=str(digits_manifest), name="Digits", image_size=16))


def test_a_job_with_a_wrong_parameter_is_refused_by_name(shared: House) -> None:
    body = {"kind": "train", "params": {"seeds": [0], "epochs": 3}}
    problem(shared.http.post(f"/api/v1/projects/{PROJECT}/jobs", json=body), 422, "epochs")
    problem(shared.http.post(f"/api/v1/projects/{PROJECT}/jobs", json={"kind": "paint"}), 422, "kind")
    problem(shared.http.post(f"/api/v1/projects/{PROJECT}/jobs", json={"kind": "import"}), 422, "/api/v1/projects")


def test_jobs_show_log_curves_and_result(shared: House) -> None:
    job = next(job for job in shared.client.jobs(project=PROJECT) if job.kind is JobKind.TRAIN)
    assert job.done == job.total and shared.client.job(job.id) == job
    lines = shared.client.job_log(job.id)
    assert lines and shared.client.job_log(job.id, after=lines[-1].id) == []
    curves = shared.client.job_metrics(job.id)
    assert set(curves) == {"erm, seed 0", "erm, seed 1"}
    assert {point.epoch for point in curves["erm, seed 0"]} == {1, 2, 3, 4, 5, 6}


def test_a_job_that_ended_cannot_be_cancelled(shared: House) -> None:
    job = shared.client.jobs(project=PROJECT)[0]
    with pytest.raises(ConflictError, match="done already"):
        shared.client.cancel_job(job.id)


def test_a_queued_job_is_answered_again_cancelled_and_resumed(house: House) -> None:
    first = house.client.start_job(PROJECT, JobKind.TRAIN, {"seeds": [7]})
    assert house.client.start_job(PROJECT, JobKind.TRAIN, {"seeds": [7]}).id == first.id
    assert house.client.health().active_jobs == 1
    assert house.client.cancel_job(first.id).status == "cancelled"
    assert house.client.resume_job(first.id).status == "queued"


def test_a_project_with_work_under_way_is_not_deleted(house: House) -> None:
    job = house.client.start_job(PROJECT, JobKind.TRAIN, {"seeds": [7]})
    with pytest.raises(ConflictError, match="queued or running"):
        house.client.delete_project(PROJECT)
    house.client.cancel_job(job.id)
    house.client.delete_project(PROJECT)


def test_a_deleted_project_is_gone_with_everything(house: House) -> None:
    house.client.delete_project(PROJECT)
    assert house.client.projects() == []
    assert [job.kind for job in house.client.jobs()] == [JobKind.IMPORT], "what a person asked for stays on record"
    problem(house.http.get("/api/v1/score-sets/1"), 404)
    problem(house.http.get("/api/v1/directions/1"), 404)
