"""What every reader returns and every trainer takes: rows with splits and attributes, and arrays of one split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unskew.errors import DataError, RowError
from unskew.schemas.enums import Layout, Split


@dataclass(frozen=True)
class Examples:
    """All examples of a source, in the order of its rows.

    Attributes:
        root: folder that relative paths start from.
        class_names: position = label.
        paths: n paths as written in the source, relative to `root` or absolute.
        label: int64 (n,).
        split: str (n,), values of `Split`.
        attributes: name → str (n,); "" = missing.
        content_hash: n sha256 of the files' bytes, hexadecimal; empty when the files were not read.
        fingerprint: sha256 over content, labels, splits, attributes, class names and image size; "" likewise.
            It does not depend on where the files lie.
        layout: how the source was read.
    """

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    attributes: dict[str, NDArray[np.str_]]
    content_hash: tuple[str, ...] = ()
    fingerprint: str = ""
    layout: Layout | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def positions(self, split: Split | str) -> NDArray[np.int64]:
        """Rows of one split, int64, in row order: the order of every array about that split."""
        return np.flatnonzero(self.split == str(split)).astype(np.int64)

    def file(self, row: int) -> Path:
        """Where the image of a row lies."""
        return self.root / self.paths[row]


@dataclass(frozen=True)
class SourceCheck:
    """Result of checking a source: examples when it is usable, else what stands in the way.

    Attributes:
        problems: the first 200; n_problems counts all.
        warnings: what does not stop an import but should be known, one sentence each.
        layout: the one that was recognised or asked for; None where there is none.
    """

    examples: Examples | None
    problems: list[RowError]
    n_problems: int
    warnings: list[str]
    layout: Layout | None = None


@dataclass(frozen=True)
class SplitArrays:
    """One split as arrays in row order.

    Attributes:
        pixels: uint8 (n, 3, size, size), possibly memory-mapped.
        label: int64 (n,).
        attributes: name → str (n,).
    """

    pixels: NDArray[np.uint8]
    label: NDArray[np.int64]
    attributes: dict[str, NDArray[np.str_]]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 3 or self.pixels.dtype != np.uint8:
            raise DataError(
                f"pixels are {self.pixels.dtype} {self.pixels.shape}; need uint8 (n, 3, size, size).",
                fix="Convert the images to 8-bit RGB, channels first.",
            )
        for name, column in {"label": self.label, **self.attributes}.items():
            if len(column) != len(self.pixels):
                raise DataError(
                    f"{name} has {len(column)} rows and pixels {len(self.pixels)}.", fix="They must be equal."
                )

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class Data:
    """What a trainer takes."""

    train: SplitArrays
    validation: SplitArrays
    test: SplitArrays | None
    class_names: tuple[str, ...]
    image_size: int
