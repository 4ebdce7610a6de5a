"""One malformed input each: what is on disk, how it is asked for, and the sentence that a person must read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import layout_fixtures as made

from unskew.data import SourceCheck, check_source
from unskew.schemas.params import ImportParams

GOOD = "path,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat,val\nd.png,dog,val\n"


@dataclass(frozen=True)
class Case:
    """`build` writes the fault below a folder that holds a good set and returns the source to read."""

    name: str
    build: Callable[[Path], Path]
    message: str  # part of the first problem's message
    row: int | None = None
    at: str | None = None  # the field
    params: dict[str, Any] = field(default_factory=dict)
    decode: bool = False


def good_set(folder: Path) -> Path:
    """Four images and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in "abcd":
        made.paint(folder / f"{name}.png", size=(10, 8))
    (folder / "m.csv").write_text(GOOD)
    return folder / "m.csv"


def checked(case: Case, folder: Path) -> SourceCheck:
    good_set(folder)
    source = case.build(folder)
    params = ImportParams(source=str(source), name="x", image_size=8, **case.params)
    return check_source(params, decode=case.decode)


def text(content: str | bytes, name: str = "m.csv") -> Callable[[Path], Path]:
    """A file with this content in place of the good manifest."""

    def write(folder: Path) -> Path:
        file = folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def changed(old: str, new: str) -> Callable[[Path], Path]:
    """The good manifest with one place changed."""
    assert old in GOOD
    return text(GOOD.replace(old, new, 1))


def image(content: bytes, name: str = "a.png") -> Callable[[Path], Path]:
    """The good manifest, with this in place of its first image."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        if name != "a.png":
            (folder / "m.csv").write_text(GOOD.replace("a.png", name))
        return folder / "m.csv"

    return write


def sparse(path: Path, size: int) -> Path:
    """A file of this size that takes no room."""
    with open(path, "r+b" if path.exists() else "wb") as handle:
        handle.truncate(size)
    return path
