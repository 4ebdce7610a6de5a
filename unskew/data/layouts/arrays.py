"""Images inside one `.npz` archive, in either of two ways.

    one array each      images (or x), labels (or y), split; every other array with one value an example: an attribute
    one a split         train_images, train_labels, val_images, …  (MedMNIST); train_<name> …: an attribute

Images are uint8 (n, height, width), (n, height, width, 3) or (n, 3, height, width). `class_names` may hold the names.

Objects are never unpickled, and headers are read before any data: an archive whose arrays do not fit each other or
whose data unfold beyond the limit is refused unread. `unpack` writes the images as PNG with a manifest, so that
everything after it (thumbnails, hashes, repeats) works as for any other source.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unskew.data.limits import MAX_ARRAY_BYTES
from unskew.data.problems import Problems
from unskew.data.rows import Rows, known_split
from unskew.errors import DataError
from unskew.schemas.enums import Split
from unskew.schemas.params import ImportParams

_IMAGES, _LABELS = ("images", "x", "X", "pixels"), ("labels", "y", "label")
_CHUNK = 512
_SMALL = 64 * 1024**2  # bytes of an array of labels or attributes


@dataclass(frozen=True)
class Member:
    """One array of the archive, by its header."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def is_archive(source: Path) -> bool:
    return source.is_file() and source.suffix.lower() == ".npz"


def read(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Rows by labels and headers; the images themselves stay packed (`Rows.packed`)."""
    members = _members(source, problems)
    parts = None if members is None else _parts(members, source, problems)
    if members is None or parts is None:
        return None
    rows = Rows(root=source.parent, paths=[], labels=[], split=[], attributes={}, lines=None, packed=True)
    rows.path_field, rows.label_field, rows.split_field = "images", "labels", "split"
    with zipfile.ZipFile(source) as archive:
        names = _text(_whole(archive, members["class_names"])) if "class_names" in members else []
        for part in parts:
            n = part.images.shape[0]
            label = _text(_whole(archive, part.labels))
            rows.labels += [_named(text, names) for text in label]
            rows.paths += [f"images/{part.title}/{i:06d}.png" for i in range(n)]
            assert rows.split is not None
            rows.split += _text(_whole(archive, part.split)) if isinstance(part.split, Member) else [part.split] * n
            for name, member in part.attributes.items():
                column = rows.attributes.setdefault(name, [""] * (len(rows.paths) - n))
                column += _text(_whole(archive, member))
            for column in rows.attributes.values():
                column += [""] * (len(rows.paths) - len(column))
    if not any(rows.split or ()):
        rows.split = None
    return rows


def unpack(source: Path, folder: Path, *, on_step: Callable[[int, int], None] | None = None) -> Path:
    """Write every image as PNG below `folder`, and a manifest; the folder appears whole or not at all.

    Returns:
        Path of manifest.csv; the one that is there already when the folder is.
    Raises:
        DataError: the archive cannot be used; `rows` says why.
    """
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        return manifest
    problems = Problems()
    rows = read(source, ImportParams(source=str(source), name="arrays"), problems)
    members = _members(source, problems)
    if rows is None or members is None or problems.n:
        listed = problems.listed()
        raise DataError(f"{source} cannot be unpacked: {listed[0].message}", rows=listed)
    parts = _parts(members, source, problems)
    assert parts is not None
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        done = 0
        with zipfile.ZipFile(source) as archive:
            for part in parts:
                (temporary / "images" / part.title).mkdir(parents=True, exist_ok=True)
                for chunk in _stream(archive, part.images):
                    for image in _channels_last(chunk):
                        Image.fromarray(image).save(temporary / rows.paths[done], compress_level=1)
                        done += 1
                    if on_step is not None:
                        on_step(done, len(rows.paths))
        _write_manifest(temporary / "manifest.csv", rows)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise DataError(f"{source} is damaged: {error}.", fix="Write it anew with numpy.savez.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


@dataclass(frozen=True)
class _Part:
    """What belongs together: the whole archive, or one split of it."""

    title: str
    images: Member
    labels: Member
    split: Member | str
    attributes: dict[str, Member]


def _members(source: Path, problems: Problems) -> dict[str, Member] | None:
    try:
        with zipfile.ZipFile(source) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            size = sum(info.file_size for info in infos)
            if size > MAX_ARRAY_BYTES:
                raise ValueError(f"its arrays unfold to {size:,} bytes, the limit is {MAX_ARRAY_BYTES:,}")
            members = {}
            for info in infos:
                with archive.open(info) as stream:
                    member = Member(info.filename.removesuffix(".npy"), *_header(stream))
                if member.dtype.hasobject:
                    raise ValueError(f"the array {member.name!r} holds Python objects, which are never unpickled")
                needed = int(np.prod(member.shape, dtype=object)) * member.dtype.itemsize
                if needed > info.file_size:
                    raise ValueError(f"the array {member.name!r} promises {needed:,} bytes and has {info.file_size:,}")
                members[member.name] = member
            return members
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        message = f"The archive cannot be read: {error}. Write it with numpy.savez, without objects."
        problems.add(None, source.name, "", message)
        return None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of a .npy stream, which then stands at the data."""
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"its format {version} is unknown")
    try:
        shape, fortran, dtype = read_header[version](stream)
    except Exception as error:  # numpy parses the header as Python: damaged ones fail in many ways
        raise ValueError(f"its header cannot be read ({error})") from error
    if fortran and len(shape) > 1:
        raise ValueError("it is stored column by column; save numpy.ascontiguousarray of it")
    return shape, dtype


def _parts(members: dict[str, Member], source: Path, problems: Problems) -> list[_Part] | None:
    """One part for each split, or a single one; None when names or lengths do not fit, with the reasons."""
    found = ", ".join(sorted(members)) or "none"
    prefixes = {name.rpartition("_images")[0] for name in members if name.endswith("_images")}
    by_split = {prefix: known_split(prefix) for prefix in sorted(prefixes)}
    parts = []
    if by_split:
        for prefix, split in sorted(by_split.items(), key=lambda p: list(Split).index(p[1]) if p[1] else -1):
            own = {n.removeprefix(f"{prefix}_"): m for n, m in members.items() if n.startswith(f"{prefix}_")}
            if split is None:
                problems.add(None, source.name, prefix, f"{prefix!r} is no split. Use train, val and test.")
            parts.append(_part(prefix, own, split.value if split else "", source, problems))
    else:
        own = {name: member for name, member in members.items() if name != "class_names"}
        parts.append(_part("all", own, own.get("split", ""), source, problems))
    if any(part is None for part in parts) or problems.n:
        if problems.n == 0:
            problems.add(None, source.name, found, f"The archive needs images and labels; found: {found}.")
        return None
    return [part for part in parts if part is not None]


def _part(title: str, own: dict[str, Member], split: Member | str, source: Path, problems: Problems) -> _Part | None:
    images = next((own[name] for name in _IMAGES if name in own), None)
    labels = next((own[name] for name in _LABELS if name in own), None)
    if images is None or labels is None:
        found = ", ".join(sorted(own)) or "none"
        problems.add(None, source.name, found, f"The archive needs images and labels; found: {found}.")
        return None
    if images.dtype != np.uint8 or not (len(images.shape) == 3 or (len(images.shape) == 4 and _colours(images.shape))):
        message = "Images are uint8 (n, height, width), (n, height, width, 3) or (n, 3, height, width), 0 … 255."
        problems.add(None, images.name, f"{images.dtype} {images.shape}", message)
        return None
    n = images.shape[0]
    others = {name: m for name, m in own.items() if m not in (images, labels, split)}
    for member in (labels, *([split] if isinstance(split, Member) else [])):
        if not _one_each(member, n):
            message = f"{member.name} must hold one value for each of the {n:,} images."
            problems.add(None, member.name, f"{member.dtype} {member.shape}", message)
    return _Part(title, images, labels, split, {name: m for name, m in others.items() if _one_each(m, n)})


def _one_each(member: Member, n: int) -> bool:
    flat = member.shape in ((n,), (n, 1))
    return flat and member.dtype.kind in "biufUS" and n * member.dtype.itemsize <= _SMALL


def _colours(shape: tuple[int, ...]) -> bool:
    return shape[3] in (1, 3) or shape[1] in (1, 3)


def _channels_last(chunk: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n, height, width) or (n, height, width, 3)."""
    if chunk.ndim == 4 and chunk.shape[3] not in (1, 3):
        chunk = chunk.transpose(0, 2, 3, 1)
    if chunk.ndim == 4 and chunk.shape[3] == 1:
        chunk = chunk[..., 0]
    return np.ascontiguousarray(chunk)


def _stream(archive: zipfile.ZipFile, member: Member) -> Iterator[NDArray[np.uint8]]:
    """The array in chunks of rows, so that memory stays small."""
    n, row = member.shape[0], int(np.prod(member.shape[1:]))
    with archive.open(f"{member.name}.npy") as stream:
        _header(stream)
        for start in range(0, n, _CHUNK):
            rows = min(_CHUNK, n - start)
            content = stream.read(rows * row)
            if len(content) < rows * row:
                raise EOFError(f"{member.name} ends after {start} rows")
            yield np.frombuffer(content, dtype=np.uint8).reshape(rows, *member.shape[1:])


def _whole(archive: zipfile.ZipFile, member: Member) -> NDArray[Any]:
    with archive.open(f"{member.name}.npy") as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array.reshape(-1)


def _text(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f":
        return ["" if np.isnan(v) else str(int(v)) if float(v).is_integer() else str(v) for v in values]
    return [str(v).strip() for v in values.tolist()]


def _named(text: str, names: list[str]) -> str:
    return names[int(text)] if text.isdigit() and int(text) < len(names) else text


def _write_manifest(file: Path, rows: Rows) -> None:
    with open(file, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "label", *(["split"] if rows.split else []), *rows.attributes])
        columns = [rows.paths, rows.labels, *([rows.split] if rows.split else []), *rows.attributes.values()]
        writer.writerows(zip(*columns, strict=True))
