"""What every reader returns and every trainer takes: rows with splits and attributes, and arrays of one split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.errors import DataError, RowError
from unskew.schemas.enums import DataKind, Layout, Split
from unskew.schemas.params import InputShape

_STORED = {("uint8", 4), ("int32", 2), ("float32", 2)}  # dtype and dimensions of a split's inputs


@dataclass(frozen=True)
class Examples:
    """All examples of a source, in the order of its rows.

    Attributes:
        root: folder that relative paths start from.
        class_names: position = label.
        paths: n paths as written in the source, relative to `root` or absolute; of a text or a row of a table where it
            stands, "reviews.csv:12".
        label: int64 (n,).
        split: str (n,), values of `Split`.
        attributes: name → str (n,); "" = missing.
        content_hash: n sha256 of the files' bytes, hexadecimal; empty when the files were not read.
        fingerprint: sha256 over content, labels, splits, attributes, class names and image size; "" likewise.
            It does not depend on where the files lie.
        layout: how the source was read; an import path: by a reader of one's own.
        kind: what the examples are.
        content: n texts, or n rows of a table as JSON objects (column → value); empty for images, which stay files.
    """

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    attributes: dict[str, NDArray[np.str_]]
    content_hash: tuple[str, ...] = ()
    fingerprint: str = ""
    layout: Layout | str | None = None
    kind: DataKind = DataKind.IMAGE
    content: tuple[str, ...] = ()

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
        problems: 200 of them, every kind among them; n_problems counts all.
        warnings: what does not stop an import but should be known, one sentence each.
        layout: the one that was recognised or asked for; None where there is none.
    """

    examples: Examples | None
    problems: list[RowError]
    n_problems: int
    warnings: list[str]
    layout: Layout | str | None = None


@dataclass(frozen=True)
class SplitArrays:
    """One split as arrays in row order.

    Attributes:
        inputs: what a model sees, possibly memory-mapped: uint8 (n, 3, size, size) images, int32 (n, n_tokens) texts,
            float32 (n, n_features) rows of a table.
        label: int64 (n,).
        attributes: name → str (n,).
    """

    inputs: NDArray[Any]
    label: NDArray[np.int64]
    attributes: dict[str, NDArray[np.str_]]

    def __post_init__(self) -> None:
        found = (str(self.inputs.dtype), self.inputs.ndim)
        if found not in _STORED or (found[1] == 4 and self.inputs.shape[1] != 3):
            raise DataError(
                f"inputs are {self.inputs.dtype} {self.inputs.shape}; need uint8 (n, 3, size, size) images, "
                "int32 (n, n_tokens) texts or float32 (n, n_features) rows.",
                fix="Convert images to 8-bit RGB, channels first; tokens to int32; columns to float32.",
            )
        for name, column in {"label": self.label, **self.attributes}.items():
            if len(column) != len(self.inputs):
                raise DataError(
                    f"{name} has {len(column)} rows and inputs {len(self.inputs)}.", fix="They must be equal."
                )

    def __len__(self) -> int:
        return len(self.label)

    def at(self, rows: NDArray[np.int64]) -> SplitArrays:
        """Some of its rows, in the order given."""
        return SplitArrays(self.inputs[rows], self.label[rows], {name: c[rows] for name, c in self.attributes.items()})


@dataclass(frozen=True)
class Data:
    """What a trainer takes."""

    train: SplitArrays
    validation: SplitArrays
    test: SplitArrays | None
    class_names: tuple[str, ...]
    shape: InputShape
