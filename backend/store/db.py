"""The store: one database (SQLite in WAL mode, or Postgres by URL) and the folder of artifacts beside it.

`Store.open` creates what is missing, brings the schema up to date under a lock, and answers with a clear error when the
folder or the database cannot be used. Sessions that write take SQLite's write lock at their start, so that two writers
wait for each other instead of failing half-way.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from platformdirs import user_data_path
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from backend.store.locks import file_lock
from unskew.errors import StorageError

if TYPE_CHECKING:
    from dbos import DBOSClient

    from backend.store.artifacts import Artifacts

BUSY_SECONDS = 30  # that a person waits for a busy database
PATIENT_SECONDS = 3600  # that a job does: it has nothing better to do, and hours to lose
PING_AFTER_SECONDS = 5.0  # without use, a connection to Postgres is tried before it is used again
_NO_ROOM = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)
DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.EDQUOT, errno.EIO)
FOLDERS = ("artifacts", "thumbnails", "work", "sources", "locks")
MIGRATIONS = Path(__file__).parent / "migrations"
APPLICATION = "unskew"
MIGRATION_LOCK = 7_146_953  # any number that nobody else uses in this database


class Store:
    """Database and artifacts of one data folder. Safe to share between threads; not between forked processes."""

    def __init__(self, data: Path, url: str, engine: Engine, busy_seconds: int = BUSY_SECONDS) -> None:
        self.data = data
        self.url = url
        self.engine = engine
        self.busy_seconds = busy_seconds
        self._writer = threading.Lock()

    @classmethod
    def open(cls, data: Path | str | None = None, url: str | None = None, busy_seconds: int = BUSY_SECONDS) -> Store:
        """Open the store in `data` (default: UNSKEW_DATA, else the user's data folder), creating what is missing.

        `busy_seconds`: how long to wait for SQLite's other writers before an error.

        Raises:
            StorageError: the folder cannot be written, or the database cannot be opened or migrated.
        """
        folder = Path(data or os.environ.get("UNSKEW_DATA") or user_data_path("unskew")).expanduser().absolute()
        _make_folders(folder)
        address = url or os.environ.get("UNSKEW_DATABASE_URL") or f"sqlite:///{folder / 'unskew.db'}"
        store = cls(folder, address, _engine(address, busy_seconds), busy_seconds)
        try:
            with file_lock(folder / "locks" / "migrate"):
                migrate(store)
        except (DBAPIError, sqlite3.Error) as error:
            reason = str(getattr(error, "orig", None) or error)
            raise StorageError(
                f"The database {_shown(address)} cannot be used: {reason}.",
                fix="Check that it exists, that you may write to it and that the disk is not full. "
                "`unskew doctor` says more.",
            ) from error
        return store

    @cached_property
    def _reading(self) -> Engine:
        if self.engine.dialect.name == "sqlite":
            return self.engine
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @cached_property
    def artifacts(self) -> Artifacts:
        from backend.store.artifacts import Artifacts
        from backend.store.remote import Remote

        url = os.environ.get("UNSKEW_ARTIFACTS")
        return Artifacts(self.data / "artifacts", Remote(url) if url else None)

    @cached_property
    def queue(self) -> DBOSClient:
        """The job engine's client; its ledger lives in the same database."""
        from dbos import DBOSClient

        return DBOSClient(system_database_url=self.url, application_name=APPLICATION)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that may write: committed at the end, rolled back on an error."""
        with (
            self._turn(),
            Session(self.engine.execution_options(write=True), expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer at a time, and whoever finds it busy sleeps and tries again: with many threads one of
        them can be unlucky for seconds. Ours queue up here; other processes still wait in SQLite."""
        mine = self.engine.dialect.name == "sqlite" and self._writer.acquire(timeout=self.busy_seconds)
        try:
            yield
        finally:
            if mine:
                self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads: never waits for a writer.

        Postgres shows every statement what is committed by then, with or without a transaction around them: without
        one, two round trips a session are saved.
        """
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        if "queue" in self.__dict__:
            self.queue.destroy()
        self.engine.dispose()


def migrate(store: Store) -> None:
    """Bring our tables and the job engine's up to date."""
    from dbos import DBOS

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.engine.connect() as connection, _references_unwatched(connection), _one_at_a_time(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        DBOS.migrate(store.url)


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """Postgres: machines that start together wait for each other. SQLite: the caller's file lock does it."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
    connection.commit()  # the lock belongs to the connection, not to the transaction
    try:
        yield
    finally:
        connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
        connection.commit()


@contextmanager
def _references_unwatched(connection: Connection) -> Iterator[None]:
    """SQLite changes some tables by copying and dropping them: with references watched, a drop would clear all columns
    that refer to them. Must begin and end outside a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    plain: Any = connection.connection.driver_connection
    plain.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        plain.execute("PRAGMA foreign_keys=ON")


def _make_folders(folder: Path) -> None:
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        probe = folder / "work" / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"The data folder {folder} cannot be written: {error.strerror or error}.",
            fix="Free some space or choose another folder with --data DIR (or UNSKEW_DATA).",
        ) from error


def _engine(url: str, busy_seconds: int) -> Engine:
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_size=5, max_overflow=20)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", _ping_if_idle)
        return engine
    engine = create_engine(url, connect_args={"timeout": busy_seconds, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _note_use(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """What `pool_pre_ping` does, without a round trip for a connection that was used a moment ago."""
    if monotonic() - record.info.get("used", monotonic()) > PING_AFTER_SECONDS:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Exception as error:
            raise DisconnectionError from error  # the pool opens another


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):  # NORMAL: a power cut takes commits back
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def is_busy(error: OperationalError) -> bool:
    """Whether the database was locked for longer than we wait."""
    return "database is locked" in str(error.orig)


def is_full(error: BaseException) -> bool:
    """Whether the database's own disk is full: SQLite's file, its journal or the index of that could not grow."""
    if not isinstance(error, OperationalError):
        return False
    return isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode in _NO_ROOM


def of_storage(error: BaseException) -> str | None:
    """What the disk or the database said, where one of them is at fault and not we."""
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    return str(error.orig) if isinstance(error, OperationalError) else None


def insert_new(session: Session, table: type[Any]) -> Any:
    """An INSERT that passes over rows that are there already, whoever wrote them, and when."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()
