"""Backup of a whole data folder into one tar file while everything runs, and back.

The database is copied first, as it is at one moment: SQLite by its own online backup, Postgres row by row in one
snapshot; then the artifacts that this copy names. Artifacts never change once they are there, so the two fit together
whatever is written meanwhile. The copy is a SQLite file in both cases: a backup of one kind of database can be restored
into the other.
"""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from backend.services import doctor
from backend.store import copying
from backend.store.db import Store
from unskew.errors import ConflictError, DataError, StorageError

DATABASE = "unskew.db"
FOLDERS = ("artifacts", "sources")


def backup(store: Store, target: Path) -> dict[str, Any]:
    """Write the tar file; it appears under its name when it is whole.

    Returns:
        file, bytes, artifacts (number).
    Raises:
        StorageError: no space.
    """
    n = 0
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=store.data / "work") as scratch, tarfile.open(partial, "w") as archive:
            copy = Path(scratch) / DATABASE
            (_online_copy if store.url.startswith("sqlite") else _row_by_row)(store, copy)
            archive.add(copy, DATABASE)
            for kind, number in _artifacts(copy):
                archive.add(store.artifacts.path(kind, number), f"artifacts/{kind}/{number}")
                n += 1
            archive.add(store.data / "sources", "sources")
        partial.rename(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"The backup cannot be written: {error.strerror or error}.", fix="Free some space."
        ) from error
    return {"file": str(target), "bytes": target.stat().st_size, "artifacts": n}


def _online_copy(store: Store, copy: Path) -> None:
    with closing(sqlite3.connect(store.data / DATABASE)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _row_by_row(store: Store, copy: Path) -> None:
    made = Store.open(copy.parent, url=f"sqlite:///{copy}")
    try:
        copying.copy(store.engine, made.engine)
    finally:
        made.close()
    with closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file


def _artifacts(copy: Path) -> list[tuple[str, str]]:
    """(kind, number) of the artifacts that the copy names."""
    with closing(sqlite3.connect(copy)) as database:
        return list(database.execute("SELECT kind, id FROM artifact"))


def restore(source: Path, data: Path, url: str | None = None) -> dict[str, Any]:
    """Unpack a backup into a new folder and check every checksum.

    Args:
        url: of an empty Postgres database for the rows; None: a SQLite file in the folder.
    Raises:
        ConflictError: the folder or the database holds something. DataError: the file is no backup, or is damaged.
    """
    if data.exists() and any(data.iterdir()):
        raise ConflictError(f"{data} is not empty.", fix="Name a new folder with --data.")
    try:
        with tarfile.open(source) as archive:
            names = archive.getnames()
            strange = [name for name in names if name != DATABASE and name.split("/")[0] not in FOLDERS]
            if DATABASE not in names or strange:
                raise DataError(f"{source} is no backup of Unskew.", fix="Name a file that `unskew backup` wrote.")
            archive.extractall(data, filter="data")  # refuses paths that lead out, links and devices
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{source} cannot be unpacked: {error}.", fix="Take another backup.") from error
    store = Store.open(data, url=f"sqlite:///{data / DATABASE}")
    try:
        problems = [line for line in doctor.check(store)["problems"] if "no worker is alive" not in line]
        if problems:
            raise DataError(f"The backup is damaged: {problems[0]}", fix="Take another backup.")
        if url is not None and not url.startswith("sqlite"):
            _into(url, store)
    finally:
        store.close()
    return {"data": str(data), "files": len(names)}


def _into(url: str, store: Store) -> None:
    """Move the rows of an unpacked backup to another, empty database."""
    target = Store.open(store.data, url=url)
    try:
        if not copying.is_empty(target.engine):
            raise ConflictError("The database holds rows already.", fix="Name an empty one with UNSKEW_DATABASE_URL.")
        copying.copy(store.engine, target.engine)
    finally:
        target.close()
    for file in store.data.glob(f"{DATABASE}*"):
        file.unlink()
