"""Malformed images and folders."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from bad_house import Case, checked, image, sparse
from layout_fixtures import paint
from PIL import Image

from unskew.data.limits import MAX_IMAGE_BYTES


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (10, 8)) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def png(width: int, height: int, *, data: bytes = b"", depth: int = 8) -> bytes:
    """A PNG by hand: whatever its header promises."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def flipped(content: bytes) -> bytes:
    """One byte of the pixels' checksum changed."""
    place = content.find(b"IDAT") + 6
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def linked(folder: Path) -> Path:
    outside = folder.parent / "outside.png"
    paint(outside)
    (folder / "a.png").unlink()
    os.symlink(outside, folder / "a.png")
    return folder / "m.csv"


def looped(folder: Path) -> Path:
    (folder / "a.png").unlink()
    os.symlink(folder / "a.png", folder / "a.png")
    return folder / "m.csv"


def piped(folder: Path) -> Path:
    (folder / "a.png").unlink()
    os.mkfifo(folder / "a.png")
    return folder / "m.csv"


def huge(folder: Path) -> Path:
    sparse(folder / "a.png", MAX_IMAGE_BYTES + 1)
    return folder / "m.csv"


PNG, JPEG = encoded("png"), encoded("jpeg", size=(64, 64))
CASES = [
    Case("empty", image(b""), "The file is empty."),
    Case("text", image(b"not an image"), "The image is not an image of a known format."),
    Case("html", image(b"<html><script>alert(1)</script>"), "is not an image of a known format."),
    Case("svg", image(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), "is not an image of a known format."),
    Case("pdf", image(b"%PDF-1.7"), "is not an image of a known format."),
    Case("a program", image(b"\x7fELF" + bytes(100)), "is not an image of a known format."),
    Case("a zip", image(b"PK\x03\x04" + bytes(100)), "is not an image of a known format."),
    Case("postscript", image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"), "The image "),
    Case("png signature only", image(PNG[:8]), "The image is "),
    Case("png header only", image(PNG[:33]), "The image is "),
    Case("png cut in half", image(PNG[: len(PNG) // 2]), "The image is "),
    Case("png with a wrong checksum", image(flipped(PNG)), "is truncated or damaged"),
    Case("png without pixels", image(png(10, 8)), "is truncated or damaged"),
    Case("png of no width", image(png(0, 8, data=bytes(8))), "The image is "),
    Case("png bomb", image(png(40_000, 40_000)), "The image has more than 178,956,970 pixels."),
    Case("png of a hundred million pixels", image(png(10_000, 10_000)), "is 10000 × 10000 pixels; the limit is"),
    Case("png of a strange depth", image(png(10, 8, depth=3)), "The image is "),
    Case("jpeg cut in half", image(JPEG[: len(JPEG) // 2], "a.jpg"), "is truncated or damaged"),
    Case("jpeg signature only", image(JPEG[:3], "a.jpg"), "The image is "),
    Case("jpeg of zeros", image(JPEG[:200] + bytes(400), "a.jpg"), "The image is "),
    Case("gif signature only", image(b"GIF89a", "a.gif"), "The image is "),
    Case("gif cut", image(encoded("gif", "P")[:30], "a.gif"), "The image is "),
    Case("webp cut", image(encoded("webp")[:20], "a.webp"), "The image is "),
    Case("bmp cut", image(encoded("bmp")[:40], "a.bmp"), "The image is "),
    Case("tiff cut", image(encoded("tiff")[:60], "a.tif"), "The image is "),
    Case("32-bit integers", image(encoded("tiff", "I"), "a.tif"), "has 'I' pixels (32-bit); save it with 8 bits"),
    Case("32-bit floats", image(encoded("tiff", "F"), "a.tif"), "has 'F' pixels (32-bit); save it with 8 bits"),
    Case("larger than a file may be", huge, f"The file has {MAX_IMAGE_BYTES + 1:,} bytes; the limit is"),
    Case("a link out of the folder", linked, "The path leads out of the manifest's folder."),
    Case("a link to itself", looped, "The file cannot be read: Too many levels of symbolic links."),
    Case("a named pipe", piped, "The path is not a file."),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_by_its_row(case: Case, tmp_path: Path) -> None:
    case = Case(case.name, case.build, case.message, decode=True)
    found = checked(case, tmp_path / "set")
    assert found.examples is None and [p.row for p in found.problems] == [2], found.problems
    assert found.problems[0].field == "path" and case.message in found.problems[0].message, found.problems


def _tree(*paths: str, files: tuple[str, ...] = ()) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        root = folder / "tree"
        root.mkdir()
        for path in paths:
            paint(root / path)
        for path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("x")
        return root

    return build


FOLDERS = [
    Case("empty", _tree(), "The folder has no class folders"),
    Case("images without classes", _tree("1.png", "2.png"), "The image lies in no class folder."),
    Case("no images", _tree(files=("a/1.txt", "b/2.txt")), "The class folder holds no image."),
    Case("hidden images only", _tree("a/.1.png", "b/.2.png"), "The class folder holds no image."),
    Case("one class", _tree("train/a/1.png", "val/a/2.png"), "There is only one class (a)."),
    Case("classes without splits", _tree("a/1.png", "b/1.png"), "There is no validation split."),
    Case("train without classes", _tree("train/1.png", "val/a/1.png"), "The image lies in no class folder."),
    Case("two names of a split", _tree("train/a/1.png", "val/a/1.png", "valid/a/1.png"), "mean the same split."),
    Case("a class without training", _tree("train/a/1.png", "train/b/1.png", "val/c/1.png"), "no training example"),
    Case("only validation", _tree("val/a/1.png", "val/b/1.png"), "has no training example"),
    Case("an empty class", _tree("train/a/1.png", "val/a/1.png", files=("train/b/x.txt",)), "holds no image."),
]


@pytest.mark.parametrize("case", FOLDERS, ids=[case.name for case in FOLDERS])
def test_folders_that_are_none(case: Case, tmp_path: Path) -> None:
    found = checked(case, tmp_path / "set")
    assert found.examples is None
    assert any(case.message in p.message for p in found.problems), found.problems


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    case = Case("", _tree("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"), "")
    os_root = tmp_path / "set" / "tree"
    found = checked(case, tmp_path / "set")
    assert found.examples is not None
    os.symlink(os_root, os_root / "train" / "a" / "again")
    found = checked(Case("", lambda folder: os_root, ""), tmp_path / "set")
    assert found.examples is not None and len(found.examples) == 4


def test_pixels_of_every_good_kind(tmp_path: Path) -> None:
    """The control: the same fault-free kinds are read."""
    for i, (kind, mode) in enumerate(
        [("png", "RGB"), ("png", "RGBA"), ("png", "L"), ("png", "P"), ("png", "I;16"), ("jpeg", "CMYK"), ("gif", "P"),
         ("webp", "RGB"), ("bmp", "RGB"), ("tiff", "L"), ("png", "1")]
    ):  # fmt: skip
        folder = tmp_path / str(i)
        case = Case("", image(encoded(kind, mode), f"a.{kind}"), "", decode=True)
        found = checked(case, folder)
        assert found.examples is not None, (kind, mode, found.problems)
