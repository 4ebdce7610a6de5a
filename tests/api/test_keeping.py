"""Backup, archive, deletion and garbage: nothing that is needed is lost, nothing that is not stays."""

from __future__ import annotations

import shutil
import tarfile
import threading
from pathlib import Path

import pytest
from api_house import ADDRESS, PROJECT, House
from sqlalchemy import func, select
from starlette.testclient import TestClient

from backend.api.app import create_app
from backend.services import archive, backup, doctor, garbage, groups, projects
from backend.store import tables
from backend.store.db import Store
from unskew.client import Client
from unskew.errors import ConflictError, DataError, NotFoundError
from unskew.schemas import api
from unskew.schemas.enums import JobKind


def client_of(store: Store) -> Client:
    return Client(http=TestClient(create_app(store, ui=False), base_url=ADDRESS))


def facts(client: Client, slug: str) -> dict[str, object]:
    """What a person sees of a project, without its numbers."""
    project = client.project(slug)
    sets = client.group_sets(slug)
    scores = client.score_sets(slug)
    return {
        "fingerprint": project.fingerprint,
        "counts": project.counts,
        "attributes": project.attribute_counts,
        "steps": [(step.key, step.done) for step in project.steps],
        "images": [client.image(slug, row.id) for row in client.examples(slug, limit=5).items],
        "runs": [(r.method, r.seed, r.removed, r.class_accuracy) for r in client.runs(slug)],
        "directions": [(d.label, d.index, d.share, d.evidence) for d in client.directions(slug)],
        "strips": [[e.path for e in s.items] and s.end for s in client.strips(client.directions(slug)[0].id)],
        "groups": [(s.name, s.source, s.n_labelled, [(g.name, g.n, g.accuracy) for g in s.groups]) for s in sets],
        "scores": [(s.star, s.best_k, s.method, s.curve, s.stale, s.n_by_class) for s in scores],
        "compare": without_run_numbers(client.compare(slug, attribute="border").model_dump()),
        "reports": [(r.title, r.digest) for r in client.reports(slug)],
    }


def without_run_numbers(value: object) -> object:
    """Runs have other numbers where the database holds more than one project; everything else is the same."""
    if isinstance(value, dict):
        return {name: without_run_numbers(part) for name, part in value.items() if name != "run_id"}
    return [without_run_numbers(part) for part in value] if isinstance(value, list) else value


def label(house: House, n: int) -> None:
    group_set = next(s for s in house.client.group_sets(PROJECT) if s.name == "border")
    items = house.client.label_queue(group_set.id, limit=1000).items
    write = api.LabelWrite(key=f"backup-{n:06d}", example_id=items[n % len(items)].example.id, group=n % 2)
    house.client.write_labels(group_set.id, api.LabelBatch(labels=[write]))


def test_a_backup_taken_while_people_label_is_whole(house: House, tmp_path: Path) -> None:
    stop, written = threading.Event(), 0

    def person() -> None:
        nonlocal written
        while not stop.is_set():
            label(house, written)
            written += 1

    annotator = threading.Thread(target=person)
    annotator.start()
    before = None
    try:
        while written < 3:
            stop.wait(0.02)
        before = written
        backup.backup(house.store, tmp_path / "all.tar")
    finally:
        stop.set()
        annotator.join()
    made = backup.restore(tmp_path / "all.tar", tmp_path / "again")
    assert made["data"] == str(tmp_path / "again")
    store = Store.open(tmp_path / "again", url=f"sqlite:///{tmp_path / 'again' / 'unskew.db'}")
    with store.read() as session:
        n = session.scalar(select(func.count()).select_from(tables.LabelEvent)) or 0
    assert before <= n <= written
    assert doctor.check(store)["problems"] == []
    assert facts(client_of(store), PROJECT)["scores"] == facts(house.client, PROJECT)["scores"]
    store.close()
    with pytest.raises(ConflictError, match="not empty"):
        backup.restore(tmp_path / "all.tar", tmp_path / "again")


def test_a_backup_with_a_changed_file_is_refused(house: House, tmp_path: Path) -> None:
    backup.backup(house.store, tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as packed:
        packed.extractall(tmp_path / "open", filter="data")
    file = next((tmp_path / "open" / "artifacts").glob("scores/*/alignment.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with tarfile.open(tmp_path / "bad.tar", "w") as packed:
        for part in ("unskew.db", "artifacts", "sources"):
            packed.add(tmp_path / "open" / part, part)
    with pytest.raises(DataError, match="changed on disk"):
        backup.restore(tmp_path / "bad.tar", tmp_path / "again")


def test_a_project_travels_in_one_file(house: House, empty: House, tmp_path: Path) -> None:
    label(house, 0)
    label(house, 1)
    house.client.create_report(PROJECT, api.ReportCreate(title="before the move"))
    expected = facts(house.client, PROJECT)
    archive.write(house.store, PROJECT, tmp_path / "digits.tar")
    assert archive.read(empty.store, tmp_path / "digits.tar") == PROJECT
    assert facts(empty.client, PROJECT) == expected
    assert doctor.check(empty.store)["problems"] == []
    report = empty.client.reports(PROJECT)[0]
    assert "before the move" in empty.http.get(report.url).text
    with pytest.raises(ConflictError, match="already"):
        archive.read(empty.store, tmp_path / "digits.tar")
    assert archive.read(empty.store, tmp_path / "digits.tar", "Second") == "second"  # beside the first, same database
    assert facts(empty.client, "second") == expected
    projects.delete(empty.store, PROJECT)
    assert facts(empty.client, "second") == expected


def test_a_damaged_archive_registers_nothing(house: House, empty: House, tmp_path: Path) -> None:
    archive.write(house.store, PROJECT, tmp_path / "digits.tar")
    with tarfile.open(tmp_path / "digits.tar") as packed:
        packed.extractall(tmp_path / "open", filter="data")
    for n, file in enumerate([next((tmp_path / "open").glob(p)) for p in ("images/*", "artifacts/*/*/*.npy")]):
        content = file.read_bytes()
        file.write_bytes(content + b"x")
        with tarfile.open(tmp_path / f"{n}.tar", "w") as packed:
            packed.add(tmp_path / "open", "")
        file.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            archive.read(empty.store, tmp_path / f"{n}.tar")
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(DataError, match=r"text\.tar"):
        archive.read(empty.store, tmp_path / "text.tar")
    assert empty.client.projects() == []


def test_a_deleted_project_leaves_no_file(house: House) -> None:
    house.client.thumbnail(PROJECT, house.validation[0].id)
    house.client.create_report(PROJECT)
    house.client.delete_project(PROJECT)
    house.store.queue  # noqa: B018 - the ledger stays
    garbage.collect(house.store)
    assert list((house.store.data / "artifacts").glob("*/*")) == []
    assert list((house.store.data / "thumbnails").glob("*/*")) == []
    with house.store.read() as session:
        left = {t.name: session.scalar(select(func.count()).select_from(t)) for t in tables.Base.metadata.sorted_tables}
    assert {name: n for name, n in left.items() if n and name not in ("audit", "worker_beat", "job", "job_log")} == {}


def test_garbage_is_what_no_row_and_no_report_names(house: House) -> None:
    report = house.client.create_report(PROJECT)
    expected = facts(house.client, PROJECT)
    with house.store.session() as session:
        number = house.store.artifacts.write(session, "scores", "f" * 64, lambda folder: (folder / "x").write_text("x"))
    would = garbage.collect(house.store, dry_run=True)
    assert would["artifacts"] >= 1 and house.store.artifacts.exists("scores", number)
    made = garbage.collect(house.store)
    assert made == would and set(made["by_kind"]) == {"features", "scores"}
    assert not house.store.artifacts.exists("scores", number)
    assert facts(house.client, PROJECT) == expected
    assert house.http.get(report.url).status_code == 200
    assert doctor.check(house.store)["problems"] == []
    assert garbage.collect(house.store)["artifacts"] == 0


def test_garbage_waits_for_jobs(house: House) -> None:
    house.client.start_job(PROJECT, "train", {"seeds": [7]})  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="queued or running"):
        garbage.collect(house.store)


def test_usage_adds_up(house: House) -> None:
    found = garbage.usage(house.store)
    for kind in ("checkpoint", "features", "scores"):
        files = (house.store.data / "artifacts" / kind).glob("*/*")
        assert found[f"artifacts/{kind}"] == sum(file.stat().st_size for file in files if file.name != "manifest.json")
    assert found["database"] > 0 and found["free"] > 0


def test_an_export_of_images_that_changed_is_refused(house: House, tmp_path: Path) -> None:
    with house.store.session() as session:
        project = session.scalars(select(tables.Project)).one()
        root = Path(project.source["root"])
        shutil.copytree(root, tmp_path / "images")
        project.source = project.source | {"root": str(tmp_path / "images")}
    next((tmp_path / "images").glob("*.png")).write_bytes(b"other")
    with pytest.raises(NotFoundError, match="not the file that was imported"):
        archive.write(house.store, PROJECT, tmp_path / "x.tar")
    assert not list(tmp_path.glob("*.tar*"))
    assert groups.list_group_sets(house.store, PROJECT)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_backup_moves_to_postgres_and_back(house: House, postgres_database: str, tmp_path: Path) -> None:
    """The same file restores into either kind of database, and jobs and the ledger travel with it."""
    label(house, 0)
    waiting = house.client.start_job(PROJECT, JobKind.LDS)
    expected, log = facts(house.client, PROJECT), house.client.job_log(waiting.id)
    backup.backup(house.store, tmp_path / "lite.tar")
    backup.restore(tmp_path / "lite.tar", tmp_path / "big", postgres_database)
    assert not list((tmp_path / "big").glob("unskew.db*"))
    big = Store.open(tmp_path / "big", url=postgres_database)
    http = TestClient(create_app(big, ui=False), base_url=ADDRESS)
    there = House(big, http, Client(http=http))
    try:
        assert facts(there.client, PROJECT) == expected
        assert there.client.job_log(waiting.id) == log
        assert [flow.status for flow in big.queue.list_workflows(workflow_ids=[waiting.id])] == ["ENQUEUED"]
        label(there, 1)  # numbers go on where they stood
        assert house.client.create_view(PROJECT, api.ViewCreate(name="v", rule=api.ExampleFilter(label=0))).id
        assert there.client.create_view(PROJECT, api.ViewCreate(name="v", rule=api.ExampleFilter(label=0))).id
        backup.backup(big, tmp_path / "big.tar")
        with pytest.raises(ConflictError, match="holds rows already"):
            backup.restore(tmp_path / "big.tar", tmp_path / "twice", postgres_database)
    finally:
        big.close()
    backup.restore(tmp_path / "big.tar", tmp_path / "back")
    back = Store.open(tmp_path / "back", url=f"sqlite:///{tmp_path / 'back' / 'unskew.db'}")
    try:
        assert doctor.check(back)["problems"] == [] or "no worker is alive" in str(doctor.check(back)["problems"])
        with back.read() as session:
            assert session.scalar(select(func.count()).select_from(tables.LabelEvent)) == 2
        assert facts(client_of(back), PROJECT)["scores"] == expected["scores"]
    finally:
        back.close()
