"""Files that people send to import from: a table, an .npz, or a zip of images, kept until a project is made of them.

    <data>/sources/upload-<first 16 digits of the sha256>/     the file, or what the zip held

The same bytes lie in the same folder. `unskew gc` removes what no project was made of.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import uuid
import zipfile
from pathlib import Path, PurePosixPath

from backend.store.db import Store
from unskew.data.tables import TABLE_SUFFIXES
from unskew.errors import DataError, StorageError
from unskew.schemas import api

SINGLE = (*TABLE_SUFFIXES, ".npz")
MAX_FILES = 200_000
MAX_UNPACKED_BYTES = 4 * 1024**3
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def keep(store: Store, name: str, content: bytes) -> api.Upload:
    """Keep a file, unpacked when it is a zip, and say what an import has to name as its source.

    Raises:
        DataError: of another kind; a zip that is damaged, too large unpacked, or whose members lead out of it.
        StorageError: the disk is full.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in (*SINGLE, ".zip"):
        known = ", ".join(SINGLE)
        raise DataError(f"{name!r} cannot be imported.", fix=f"Send a table ({known}), or a .zip of images.")
    folder = store.data / "sources" / f"upload-{hashlib.sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        try:
            partial.mkdir(parents=True)
            if suffix == ".zip":
                _unpack(content, partial)
            else:
                (partial / _plain(name)).write_bytes(content)
            os.replace(partial, folder)
        except OSError as error:
            if not folder.exists():  # else somebody sent the same at the same moment
                what = f"The upload cannot be kept: {error.strerror or error}."
                raise StorageError(what, fix=f"Free some space in {store.data}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return api.Upload(source=str(_source(folder)), n_files=len(files), bytes=sum(f.stat().st_size for f in files))


def _unpack(content: bytes, folder: Path) -> None:
    """Regular files only, each inside the folder, counted before anything is written."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not _ignored(m.filename)]
            if not members:
                raise DataError("The zip holds no file.", fix="Put images in class folders, or a table beside them.")
            if len(members) > MAX_FILES or sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
                limit = f"{MAX_FILES:,} files and {MAX_UNPACKED_BYTES:,} bytes"
                raise DataError(
                    f"Unpacked, the zip is beyond {limit}.", fix="Copy it to the server, and type its path."
                )
            for member in members:
                target = folder / _inside(member)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)  # zipfile stops at the announced size, and checks the CRC
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"The zip cannot be read: {error}.", fix="Pack it again, without a password.") from error


def _ignored(name: str) -> bool:
    return name.startswith(_IGNORED[0]) or PurePosixPath(name).name in _IGNORED[1:]


def _inside(member: zipfile.ZipInfo) -> str:
    """The member's path, when it is one below the folder."""
    parts = PurePosixPath(member.filename).parts
    mode = member.external_attr >> 16
    links = stat.S_IFMT(mode) not in (0, stat.S_IFREG)
    if links or member.filename.startswith("/") or ".." in parts or "\\" in member.filename or "\0" in member.filename:
        raise DataError(f"The zip holds {member.filename!r}, which leads out of it.", fix="Pack plain files only.")
    return member.filename


def _plain(name: str) -> str:
    """A file name without any folder, of whatever system sent it."""
    kept = "".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).lstrip(".")
    return kept[-100:] or "upload"


def _source(folder: Path) -> Path:
    """The folder itself; the only folder in it; or the only table there, which names the images beside it."""
    held = list(folder.iterdir())
    if len(held) == 1 and held[0].is_dir():
        return _source(held[0])
    tables = [path for path in held if path.suffix.lower() in SINGLE]
    return tables[0] if len(tables) == 1 else folder
