"""Artifacts that several machines share: a folder behind an fsspec URL; each machine's own folder is its cache.

    UNSKEW_ARTIFACTS=s3://bucket/unskew      with `pip install unskew[s3]` and the usual AWS_… variables
    UNSKEW_ARTIFACTS=file:///shared/unskew   a network file system

A manifest is sent last and fetched first: what has one is whole. What is fetched is compared with its checksums before
it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from unskew.errors import SettingsError, StorageError

MANIFEST = "manifest.json"


class Remote:
    """The shared folder."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            _register(url)
            self.fs, self.root = url_to_fs(url, **_options(url))
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"Artifacts cannot be kept at {url}: {error}.", fix="For S3: pip install 'unskew[s3]'."
            ) from error

    def _at(self, kind: str, artifact_id: str, name: str = "") -> str:
        return "/".join(part for part in (self.root.rstrip("/"), kind, artifact_id, name) if part)

    def exists(self, kind: str, artifact_id: str) -> bool:
        return bool(self.fs.exists(self._at(kind, artifact_id, MANIFEST)))

    def push(self, kind: str, artifact_id: str, folder: Path) -> None:
        """Send an artifact, its manifest last; one that is there already stays as it is."""
        if self.exists(kind, artifact_id):
            return
        try:
            self.fs.makedirs(self._at(kind, artifact_id), exist_ok=True)
            names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
            for name in [*names, MANIFEST]:
                self.fs.put_file(str(folder / name), self._at(kind, artifact_id, name))
        except Exception as error:  # every kind of store has errors of its own
            raise StorageError(
                f"The artifact {kind}/{artifact_id[:12]} cannot be sent to {self.url}: {error}.",
                fix="Check the address, the rights and the space there; resume the job.",
            ) from error

    def pull(self, kind: str, artifact_id: str, folder: Path) -> None:
        """Fetch an artifact into an empty folder.

        Raises:
            StorageError: it cannot be read, or a file is not what its checksum says.
        """
        try:
            content = self.fs.cat_file(self._at(kind, artifact_id, MANIFEST))
            files: dict[str, Any] = json.loads(content)["files"]
            for name, entry in files.items():
                self.fs.get_file(self._at(kind, artifact_id, name), str(folder / name))
                if _digest(folder / name) != entry["sha256"]:
                    raise OSError(f"{name} is not what its checksum says")
            (folder / MANIFEST).write_bytes(content)
        except Exception as error:
            raise StorageError(
                f"The artifact {kind}/{artifact_id[:12]} cannot be fetched from {self.url}: {error}.",
                fix="Check the address and the rights; `unskew doctor` says what is missing.",
            ) from error

    def folders(self) -> list[tuple[str, str]]:
        """(kind, id) of all that is there, whole or not."""
        paths = self.fs.find(self.root) if self.fs.exists(self.root) else []
        parts = (str(path).removeprefix(self.root).strip("/").split("/") for path in paths)
        return sorted({(part[0], part[1]) for part in parts if len(part) >= 3})

    def remove(self, kind: str, artifact_id: str) -> None:
        if self.fs.exists(self._at(kind, artifact_id)):
            self.fs.rm(self._at(kind, artifact_id), recursive=True)


def _register(url: str) -> None:
    """S3 through obstore: one wheel without dependencies."""
    if url.startswith("s3://"):
        from obstore.fsspec import register

        register("s3")
    elif url.partition("://")[0] not in fsspec.available_protocols():
        raise ValueError("this kind of address is not known")


def _options(url: str) -> dict[str, Any]:
    if not url.startswith("s3://"):
        return {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return {"client_options": {"allow_http": True}} if endpoint and endpoint.startswith("http://") else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
