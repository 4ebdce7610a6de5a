"""Artifacts: folders of arrays, written whole or not at all, each file with its sha256 in a manifest.

    <root>/<kind>/<id>/manifest.json    {"files": {name: {"sha256": …, "bytes": …}}}

An id is the hash of what made the artifact (`content_id`), so a step that runs twice finds its first result.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store import tables
from backend.store.db import insert_new
from backend.store.remote import Remote
from unskew.errors import NotFoundError, StorageError

MANIFEST = "manifest.json"


def content_id(**parts: Any) -> str:
    """64 hexadecimal digits that stand for `parts` (JSON, keys sorted)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Artifacts:
    """The folder `root`; with `remote`, what several machines share, it is a cache of that."""

    def __init__(self, root: Path, remote: Remote | None = None) -> None:
        self.root = root
        self.remote = remote

    def folder(self, kind: str, artifact_id: str) -> Path:
        if not (kind.isidentifier() and artifact_id.isalnum()):
            raise NotFoundError(f"There is no artifact {kind!r}/{artifact_id!r}.")
        return self.root / kind / artifact_id

    def exists(self, kind: str, artifact_id: str) -> bool:
        return self._here(kind, artifact_id) or (self.remote is not None and self.remote.exists(kind, artifact_id))

    def _here(self, kind: str, artifact_id: str) -> bool:
        return (self.folder(kind, artifact_id) / MANIFEST).is_file()

    def _fetch(self, kind: str, artifact_id: str) -> None:
        """Bring it here if another machine made it."""
        if self.remote is None or self._here(kind, artifact_id) or not self.remote.exists(kind, artifact_id):
            return
        final = self.folder(kind, artifact_id)
        partial = final.with_name(f"{artifact_id}.partial-{uuid.uuid4().hex[:8]}")
        try:
            partial.mkdir(parents=True)
            self.remote.pull(kind, artifact_id, partial)
            try:
                partial.rename(final)
            except OSError:
                if not self._here(kind, artifact_id):  # otherwise: another thread was faster
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def write(self, session: Session, kind: str, artifact_id: str, writer: Callable[[Path], None]) -> str:
        """Let `writer` fill a folder, then make it the artifact in one rename; a twin that was there first wins.

        The row is added to `session`. Raises StorageError when the disk is full or read-only.
        """
        if not self.exists(kind, artifact_id):
            self.make(kind, artifact_id, writer)
        elif self.remote is not None and self._here(kind, artifact_id):  # a kill may have come before it was sent
            self.remote.push(kind, artifact_id, self.folder(kind, artifact_id))
        manifest = self.manifest(kind, artifact_id)
        if session.get(tables.Artifact, artifact_id) is None:
            size = sum(entry["bytes"] for entry in manifest["files"].values())
            row = {"id": artifact_id, "kind": kind, "manifest": manifest, "bytes": size}
            session.execute(insert_new(session, tables.Artifact).values(row))
        return artifact_id

    def make(self, kind: str, artifact_id: str, writer: Callable[[Path], None]) -> None:
        """The disk half of `write`: call it outside a session when writing takes long."""
        final = self.folder(kind, artifact_id)
        partial = final.with_name(f"{artifact_id}.partial-{uuid.uuid4().hex[:8]}")
        try:
            partial.mkdir(parents=True)
            writer(partial)
            entries = {path.name: _sealed(path) for path in sorted(partial.iterdir())}
            (partial / MANIFEST).write_text(json.dumps({"files": entries}, indent=1))
            _sync(partial / MANIFEST)
            _sync(partial)
            try:
                partial.rename(final)
            except OSError:
                if not self._here(kind, artifact_id):  # otherwise: a twin finished first, and is the same
                    raise
            _sync(final.parent)
            if self.remote is not None:
                self.remote.push(kind, artifact_id, final)
        except OSError as error:
            raise StorageError(
                f"The artifact {kind}/{artifact_id[:12]} cannot be written: {error.strerror or error}.",
                fix=f"Free some space on the disk of {self.root}, then resume the job.",
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def remove(self, kind: str, artifact_id: str) -> None:
        """Delete the folder; its row must be gone already."""
        shutil.rmtree(self.folder(kind, artifact_id), ignore_errors=True)
        if self.remote is not None:
            self.remote.remove(kind, artifact_id)

    def manifest(self, kind: str, artifact_id: str) -> dict[str, Any]:
        self._fetch(kind, artifact_id)
        try:
            found: dict[str, Any] = json.loads((self.folder(kind, artifact_id) / MANIFEST).read_text())
        except FileNotFoundError:
            raise NotFoundError(
                f"The artifact {kind}/{artifact_id[:12]} is missing.", fix="`unskew doctor` says what is affected."
            ) from None
        return found

    def path(self, kind: str, artifact_id: str, name: str | None = None) -> Path:
        """The folder, or one file of it after a check of its size (the checksum is doctor's)."""
        folder = self.folder(kind, artifact_id)
        if name is None:
            self.manifest(kind, artifact_id)
            return folder
        entry = self.manifest(kind, artifact_id)["files"].get(name)
        file = folder / name
        if entry is None or not file.is_file() or file.stat().st_size != entry["bytes"]:
            raise StorageError(
                f"{kind}/{artifact_id[:12]}/{name} is missing or has the wrong size.",
                fix="Run `unskew doctor`, then the step that makes it once more.",
            )
        return file

    def load(self, kind: str, artifact_id: str, name: str, *, mmap: bool = True) -> NDArray[Any]:
        """An array, memory-mapped unless told otherwise; pickled objects are refused."""
        array: NDArray[Any] = np.load(
            self.path(kind, artifact_id, name), mmap_mode="r" if mmap else None, allow_pickle=False
        )
        return array

    def problems(self, session: Session) -> list[str]:
        """What a full check of every checksum finds; used by `unskew doctor`."""
        found = []
        for row in session.scalars(select(tables.Artifact)):
            if self.remote is not None and not self.remote.exists(row.kind, row.id):
                found.append(f"not at {self.remote.url}: {row.kind}/{row.id}")
            elif self.remote is not None and not self._here(row.kind, row.id):
                continue  # made on another machine: checked when it is fetched
            for name, entry in row.manifest["files"].items():
                file = self.folder(row.kind, row.id) / name
                if not file.is_file():
                    found.append(f"missing: {row.kind}/{row.id}/{name}")
                elif _digest(file) != entry["sha256"]:
                    found.append(f"changed on disk: {row.kind}/{row.id}/{name}")
        return found

    def orphans(self, session: Session) -> list[tuple[str, str]]:
        """(kind, name) of folders that no row knows: halves of killed writes, artifacts whose row was rolled back."""
        known = set(session.scalars(select(tables.Artifact.id)))
        here = {(folder.parent.name, folder.name) for folder in self.root.glob("*/*")}
        there = set(self.remote.folders()) if self.remote is not None else set()
        return sorted((kind, name) for kind, name in here | there if name not in known)

    def discard(self, kind: str, name: str) -> None:
        """Delete a folder that `orphans` named."""
        shutil.rmtree(self.root / kind / name, ignore_errors=True)
        if self.remote is not None:
            self.remote.remove(kind, name)


def _sealed(path: Path) -> dict[str, Any]:
    _sync(path)
    return {"sha256": _digest(path), "bytes": path.stat().st_size}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
