"""A whole project as one tar file, and back into any data folder of the same version.

    project.json          every row, by table
    artifacts/<kind>/<id>/   what the rows name, with checksums
    images/<sha256>       the example files

Keys of cached results stay behind: in the new place, a job that is asked for again is computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from backend.services import images
from backend.store import jobs, projects, tables, transfer
from backend.store.artifacts import MANIFEST
from backend.store.db import Store
from unskew.errors import ConflictError, DataError, StorageError
from unskew.schemas.enums import Split

ROWS = "project.json"


def write(store: Store, slug: str, target: Path) -> dict[str, Any]:
    """Write the archive; it appears under its name when it is whole.

    Raises:
        ConflictError: a job of the project is queued or running. NotFoundError: an image is gone or changed.
    """
    with store.read() as session:
        project = projects.get(session, slug)
        if jobs.n_active(session, project.id):
            raise ConflictError(f"Jobs of {slug!r} are queued or running.", fix="Let them end, or cancel them.")
        rows = transfer.read(session, project.id)
        named = [f"artifacts/{row.kind}/{row.id}" for row in transfer.artifacts(session, rows)]
        head = {"format": 1, "schema": transfer.version(session), "tables": rows}
    unfinished = target.with_name(f".{target.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=store.data / "work") as scratch, tarfile.open(unfinished, "w") as archive:
            (Path(scratch) / ROWS).write_text(json.dumps(head), encoding="utf-8")
            archive.add(Path(scratch) / ROWS, ROWS)
            for folder in named:
                archive.add(store.data / folder, folder)
            for digest, file in images.files(store, slug).items():
                archive.add(file, f"images/{digest}")
        unfinished.rename(target)
    except OSError as error:
        what = f"The archive cannot be written: {error.strerror or error}."
        raise StorageError(what, fix="Free some space, or name another folder.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return {"file": str(target), "bytes": target.stat().st_size, "artifacts": len(named)}


def read(store: Store, source: Path, name: str = "") -> str:
    """Register the project of an archive, all of it or nothing; its short name.

    Raises:
        DataError: no archive, damaged, or of another version. ConflictError: the name is taken.
    """
    with tempfile.TemporaryDirectory(dir=store.data / "work") as scratch:
        folder = Path(scratch)
        try:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")  # refuses paths that lead out, links and devices
            head = json.loads((folder / ROWS).read_text(encoding="utf-8"))
            rows, schema = head["tables"], head["schema"]
            project = rows["project"][0]
        except (tarfile.TarError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{source} is no archive of a project: {error}.", fix="`unskew export` writes one."
            ) from error
        wanted = name or str(project["name"])
        slug = projects.slug(wanted)
        root = store.data / "sources" / slug
        with store.session() as session:
            projects.refuse_taken(session, wanted)
            here = transfer.version(session)
            if schema != here:
                raise DataError(f"The archive is of schema {schema}, this is {here}.", fix="Use the same version.")
            _take_images(folder / "images", root, rows["example"])
            _take_artifacts(store, folder / "artifacts")
            transfer.write(session, rows, slug=slug, name=wanted, root=str(root))
            for made in _artifact_rows(folder / "artifacts"):
                if session.get(tables.Artifact, made.id) is None:
                    session.add(made)
    return slug


def _take_images(folder: Path, root: Path, examples: list[dict[str, Any]]) -> None:
    """Put the images where the project will look for them, and say so in the rows."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if _digest(file) != file.name:
            raise DataError(f"The image {file.name[:12]} of the archive is damaged.", fix="Export once more.")
    for row in examples:
        if row.get("content") is not None:  # a text or a row of a table
            continue
        file, ending = folder / str(row["content_hash"]), Path(str(row["path"])).suffix.lower()
        if not (str(row["content_hash"]).isalnum() and file.is_file()):
            raise DataError(f"The archive holds no image for {row['path']!r}.", fix="Export once more.")
        row["path"] = f"{Split(row['split']).value}/{int(row['position'])}{ending if ending[1:].isalnum() else ''}"
        target = root / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(file)  # two examples may hold the same image


def _take_artifacts(store: Store, folder: Path) -> None:
    for found in sorted(folder.glob("*/*")):
        for name, entry in _manifest(found)["files"].items():
            if "/" in name or not (found / name).is_file() or _digest(found / name) != entry["sha256"]:
                raise DataError(f"{found.parent.name}/{found.name[:12]}/{name} is damaged.", fix="Export once more.")
        if not store.artifacts.exists(found.parent.name, found.name):
            store.artifacts.make(found.parent.name, found.name, partial(_copy, found))


def _copy(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.name != MANIFEST:
            shutil.copy2(file, target / file.name)


def _artifact_rows(folder: Path) -> list[tables.Artifact]:
    found = []
    for path in sorted(folder.glob("*/*")):
        manifest = _manifest(path)
        size = sum(int(entry["bytes"]) for entry in manifest["files"].values())
        found.append(tables.Artifact(id=path.name, kind=path.parent.name, manifest=manifest, bytes=size))
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return found


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
