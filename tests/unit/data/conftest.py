"""Small real image files and manifests under tmp_path."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unskew.data import SourceCheck, check_source
from unskew.schemas.params import ImportParams


def _paint(path: Path, seed: int, size: tuple[int, int] = (10, 8)) -> Path:
    """A PNG or JPEG of random colours, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def paint() -> Callable[..., Path]:
    return _paint


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest; the images that it names are painted unless they are listed in `without`."""

    def write(
        rows: Sequence[Sequence[str]],
        header: Sequence[str] = ("path", "label", "split"),
        without: Sequence[str] = (),
    ) -> Path:
        for i, row in enumerate(rows):
            path = tmp_path / row[0] if row else None
            if path is not None and row[0] and row[0] not in without and not path.exists() and ".." not in row[0]:
                _paint(path, seed=i)
        file = tmp_path / "manifest.csv"
        with open(file, "w", newline="") as handle:
            csv.writer(handle).writerows([header, *rows])
        return file

    return write


@pytest.fixture
def check() -> Callable[..., SourceCheck]:
    """Check a source with small images."""

    def run(source: Path | str, *, decode: bool = True, **params: Any) -> SourceCheck:
        return check_source(ImportParams(source=str(source), name="test", image_size=8, **params), decode=decode)

    return run


GOOD = [
    ("a.png", "cat", "train"),
    ("b.png", "dog", "train"),
    ("c.png", "cat", "validation"),
    ("d.png", "dog", "validation"),
    ("e.png", "dog", "test"),
]


@pytest.fixture
def good() -> list[tuple[str, str, str]]:
    return list(GOOD)
