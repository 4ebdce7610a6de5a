"""Backup of a whole data folder into one tar file while everything runs, and back.

The database is copied first, as it is at one moment (SQLite's own online backup); then the artifacts that this copy
names. Artifacts never change once they are there, so the two fit together whatever is written meanwhile.
"""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from backend.services import doctor
from backend.store.db import Store
from unskew.errors import ConflictError, DataError, SettingsError, StorageError

DATABASE = "unskew.db"
FOLDERS = ("artifacts", "sources")


def backup(store: Store, target: Path) -> dict[str, Any]:
    """Write the tar file; it appears under its name when it is whole.

    Returns:
        file, bytes, artifacts (number).
    Raises:
        SettingsError: the database is a Postgres, which has its own tools. StorageError: no space.
    """
    if not store.url.startswith("sqlite"):
        raise SettingsError(
            "A Postgres database is backed up with its own tools.",
            fix="First pg_dump -Fc, then copy the folders artifacts and sources (docs/operations.md).",
        )
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=store.data / "work") as scratch, tarfile.open(partial, "w") as archive:
            copy = Path(scratch) / DATABASE
            folders = _snapshot(store, copy)
            archive.add(copy, DATABASE)
            for folder in folders:
                archive.add(store.data / folder, folder)
            archive.add(store.data / "sources", "sources")
        partial.rename(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"The backup cannot be written: {error.strerror or error}.", fix="Free some space."
        ) from error
    return {"file": str(target), "bytes": target.stat().st_size, "artifacts": len(folders)}


def _snapshot(store: Store, copy: Path) -> list[str]:
    """Copy the database as it is now; the folders of the artifacts that it names."""
    source, target = sqlite3.connect(store.data / DATABASE), sqlite3.connect(copy)
    try:
        source.backup(target)
        return [f"artifacts/{kind}/{number}" for kind, number in target.execute("SELECT kind, id FROM artifact")]
    finally:
        source.close()
        target.close()


def restore(source: Path, data: Path) -> dict[str, Any]:
    """Unpack a backup into a new folder and check every checksum.

    Raises:
        ConflictError: the folder holds something. DataError: the file is no backup, or is damaged.
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
    finally:
        store.close()
    if problems:
        raise DataError(f"The backup is damaged: {problems[0]}", fix="Take another backup.")
    return {"data": str(data), "files": len(names)}
