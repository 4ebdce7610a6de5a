"""Images of examples: the file as it was imported, and thumbnails that are made once.

Files are reached only through a registered row, by its id. A thumbnail lies under the hash of the file's bytes, so it
is right for good, whatever happens to the file later.

    <data>/thumbnails/<first 2 digits>/<sha256>-<size>.webp
"""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from PIL import Image

from backend.store import pages
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.data import UnreadableImage, open_rgb
from unskew.errors import NotFoundError, SettingsError, StorageError
from unskew.schemas.enums import DataKind

SIZES = (96, 128, 256)
PICTURES = {  # what browsers draw and nothing runs in; SVG is not among them
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-anymap",
}
MOMENT_SECONDS = 0.2  # for making thumbnails while a page waits for all of its own
# Of WebP. Small images are stored without loss, with the least effort: five times as fast for half as many bytes again.
LOSSY, LOSSLESS = {"quality": 85}, {"lossless": True, "quality": 50, "method": 0}


def thumbnail(store: Store, slug: str, example_id: int, size: int) -> tuple[bytes, str]:
    """(WebP, ETag) of an example's thumbnail, made now if it is not there yet.

    Raises:
        SettingsError: a size that is not offered. NotFoundError: no such example; its file is gone, changed or broken.
    """
    _offered(size)
    source, digest = _source(store, slug, example_id)
    file = _place(store, digest, size)
    content = _read(file)
    if content is None:
        _make(_content(source, digest), file, size)
        content = file.read_bytes()
    return content, f'"{digest}-{size}"'


def thumbnails(store: Store, slug: str, example_ids: Sequence[int], size: int) -> dict[int, bytes]:
    """WebP by example id: those that are made already, and as many others as can be made within `MOMENT_SECONDS`.

    Left out is what has no picture, or takes longer: `thumbnail` makes it, or says what is wrong with it.
    """
    _offered(size)
    with store.read() as session:
        project = project_store.get(session, slug)
        root = Path(project.source["root"])
        rows = pages.files_of(session, project.id, example_ids)
    found: dict[int, bytes] = {}
    missing: list[tuple[int, Path, str]] = []
    for number, path, digest in rows:
        content = _read(_place(store, digest, size))
        if content is None:
            missing.append((number, root / path, digest))
        else:
            found[number] = content
    end = monotonic() + MOMENT_SECONDS
    for number, source, digest in missing:
        if monotonic() > end:
            break
        with suppress(NotFoundError):
            file = _place(store, digest, size)
            _make(_content(source, digest), file, size)
            found[number] = file.read_bytes()
    return found


def _offered(size: int) -> None:
    if size not in SIZES:
        raise SettingsError(f"There are no thumbnails of size {size}.", fix=f"Choose one of {SIZES}.")


def _place(store: Store, digest: str, size: int) -> Path:
    return store.data / "thumbnails" / digest[:2] / f"{digest}-{size}.webp"


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def original(store: Store, slug: str, example_id: int) -> tuple[bytes, str, str]:
    """(bytes, media type, ETag) of the file as it was imported."""
    source, digest = _source(store, slug, example_id)
    content = _content(source, digest)
    return content, _media_type(content), f'"{digest}"'


def webp(store: Store, slug: str, example_id: int, size: int) -> bytes:
    """The thumbnail's bytes, for pages that carry their images inside."""
    return thumbnail(store, slug, example_id, size)[0]


def files(store: Store, slug: str) -> dict[str, Path]:
    """The file of every example, by sha256.

    Raises:
        NotFoundError: one is gone, or is not what was imported.
    """
    with store.read() as session:
        project = project_store.get(session, slug)
        root = Path(project.source["root"])
        found = {digest: root / path for digest, path in pages.files(session, project.id)}
    for digest, file in found.items():
        _content(file, digest)
    return found


def _source(store: Store, slug: str, example_id: int) -> tuple[Path, str]:
    with store.read() as session:
        project = project_store.get(session, slug)
        path, digest = pages.file_of(session, project.id, example_id)
        kind = project_store.shape(project).kind
        if kind is not DataKind.IMAGE:
            raise NotFoundError(f"{path} is no image but a {kind}.", fix="Show the example's text or columns.")
        return Path(project.source["root"]) / path, digest


def _media_type(content: bytes) -> str:
    """By what the bytes are, never by the name: `x.html` that holds an image must not be shown as a page."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return PICTURES.get(image.format or "", "application/octet-stream")
    except Exception:  # Pillow's readers raise errors of a dozen kinds
        return "application/octet-stream"


def _content(source: Path, digest: str) -> bytes:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{source.name} cannot be read: {error.strerror or error}.", fix="Put it back.") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise NotFoundError(f"{source.name} is not the file that was imported.", fix="Put it back, or import again.")
    return content


def _make(content: bytes, file: Path, size: int) -> None:
    """Write under a temporary name and rename: a reader never sees half a file, nor do two writers meet."""
    try:
        image = shrunk(open_rgb(content, at_least=2 * size), size)
    except UnreadableImage as error:
        raise NotFoundError(f"The image {error}.", fix="Replace it, and import again.") from None
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(partial, "WEBP", **(LOSSLESS if image.info.get("pixels") else LOSSY))
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"The thumbnail cannot be written: {error.strerror or error}.", fix=f"Free some space in {file.parents[1]}."
        ) from error


def shrunk(image: Image.Image, size: int) -> Image.Image:
    """The image with its long side at most `size`; a smaller one is enlarged by a whole number, pixel by pixel.

    Enlarging small images smoothly would blur what the model sees; `info["pixels"]` tells those that were enlarged.
    """
    longest = max(image.size)
    if longest > size:
        image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return image
    times = size // longest
    made = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    made.info["pixels"] = True
    return made
