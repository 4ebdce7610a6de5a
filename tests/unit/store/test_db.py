"""The store opens, migrates, refuses what it cannot use, and lets writers wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text

from backend.store import db, jobs, tables
from backend.store.db import Store
from unskew.errors import StorageError
from unskew.schemas.enums import JobKind
from unskew.schemas.params import ImportParams


@pytest.fixture
def store(tmp_path: Path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def _difference(store: Store) -> list[object]:
    """What Alembic would still have to change, our tables only."""
    with store.engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in tables.Base.metadata.tables}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.Base.metadata))


def test_an_empty_folder_becomes_a_store_with_every_table(store: Store) -> None:
    names = set(inspect(store.engine).get_table_names())
    assert set(tables.Base.metadata.tables) <= names
    assert {"workflow_status", "operation_outputs"} <= names  # the engine's ledger lies in the same database
    assert _difference(store) == []


def test_sqlite_is_in_wal_mode_with_foreign_keys(store: Store) -> None:
    with store.read() as session:
        pragmas = {
            p: session.execute(text(f"PRAGMA {p}")).scalar() for p in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_opening_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    again = Store.open(tmp_path / "data")
    assert _difference(again) == []
    again.close()


def test_processes_that_open_a_new_store_together_all_succeed(tmp_path: Path) -> None:
    code = "import sys; from backend.store.db import Store; Store.open(sys.argv[1]).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "new")], stderr=subprocess.PIPE) for _ in range(3)
    ]
    assert [(p.communicate()[1], p.returncode) for p in processes] == [(b"", 0)] * 3


def test_a_session_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.session() as session:
        session.add(tables.Job(id="a", kind="train", params={}))
        session.flush()
        raise RuntimeError
    with store.read() as session:
        assert session.scalars(select(tables.Job)).all() == []


def test_writers_in_many_threads_wait_for_each_other(store: Store) -> None:
    """Read-modify-write without a lost update and without "database is locked"."""
    with store.session() as session:
        session.add(tables.Job(id="counter", kind="train", params={}))

    def count() -> None:
        for _ in range(25):
            with store.session() as session:
                row = session.get_one(tables.Job, "counter")
                row.done += 1

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.get_one(tables.Job, "counter").done == 150


def test_times_come_back_in_utc(store: Store) -> None:
    with store.session() as session:
        session.add(tables.Job(id="a", kind="train", params={}))
    with store.read() as session:
        offset = session.get_one(tables.Job, "a").created_at.utcoffset()
    assert offset is not None and offset.total_seconds() == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*--data DIR"):
        Store.open(tmp_path / "file" / "data")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "unskew.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match=r"unskew\.db.*not a database.*unskew doctor"):
        Store.open(tmp_path)


def test_a_password_is_not_shown_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Store.open(tmp_path, url="postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


def test_the_web_process_opens_a_store_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from backend.store import jobs, projects, runs, attributions, scores;"
        "from backend import pipeline;"
        "from backend.store.db import Store; Store.open(sys.argv[1]).close(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], check=True, env=os.environ)


@pytest.mark.postgres
@pytest.mark.slow
def test_postgres_is_migrated_and_takes_jobs(tmp_path: Path, postgres_url: str) -> None:
    store = Store.open(tmp_path, url=postgres_url)
    try:
        assert _difference(store) == []
        row = jobs.create(store, JobKind.IMPORT, ImportParams(source="demo", name="x"))
        (flow,) = store.queue.list_workflows(workflow_ids=[row.id])
        assert flow.status == "ENQUEUED"
        with store.session() as session:
            jobs.beat(session, "a")
        with store.read() as session:
            assert jobs.live_slots(session) == {"a"}
    finally:
        store.close()


@pytest.mark.postgres
def test_connections_that_the_server_closed_meanwhile_are_replaced(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path, url=postgres_database)
    with store.read() as one, store.read() as another:
        pids = {session.scalar(text("SELECT pg_backend_pid()")) for session in (one, another)}
    assert len(pids) == 2, "both wait in the pool now"
    killer = create_engine(postgres_database)
    with killer.connect() as connection:
        ours = "pid <> pg_backend_pid() AND datname = current_database()"
        others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
        assert len(connection.execute(text(others)).all()) >= 2
    killer.dispose()
    monkeypatch.setattr(db, "PING_AFTER_SECONDS", 0.0)
    with store.read() as one, store.session() as another:
        assert not {session.scalar(text("SELECT pg_backend_pid()")) for session in (one, another)} & pids
    store.close()
