"""Rows of a table as numbers: columns standardised or spread over their values, by what the training rows hold.

A column is numeric when at least nine tenths of its cells are numbers; then the others are errors of their rows. A
column of words gets one feature a value. A missing number counts as the mean, and has a feature that says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.data.problems import Problems
from unskew.schemas.params import InputShape

_NUMERIC = 0.9  # share of a column's cells that must be numbers
_MANY_VALUES = 50  # a column of words with more is a name, not a property


def number(cell: str) -> float | None:
    """The cell as a finite number, else None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers; missing cells ("") do not count."""
    there = [cell for cell in cells if cell]
    return bool(there) and sum(number(cell) is not None for cell in there) >= _NUMERIC * len(there)


def check_columns(features: dict[str, list[str]], problems: Problems, warnings: list[str]) -> list[str]:
    """Names of the usable columns; cells that do not fit their column become problems of their rows."""
    usable = []
    for name, cells in features.items():
        values = set(cells) - {""}
        if not values:
            warnings.append(f"The column {name!r} is empty and was left out.")
        elif is_numeric(cells):
            for row, cell in enumerate(cells):
                if cell and number(cell) is None:
                    message = f"{cell!r} is not a finite number, as the column's other cells are."
                    problems.add_row(row, name, cell, message)
            usable.append(name)
        elif len(values) > _MANY_VALUES:
            warnings.append(f"The column {name!r} has {len(values)} different words and was left out of the features.")
        else:
            usable.append(name)
    if not usable:
        message = "No column can be a feature. Add numbers, or words of few different values."
        problems.add(None, "feature_columns", ", ".join(features), message)
    return usable


@dataclass(frozen=True)
class Column:
    """One column: a mean and a scale, or the values that get a feature each."""

    name: str
    values: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    may_miss: bool = False

    @property
    def width(self) -> int:
        return len(self.values) or 1 + self.may_miss

    def encode(self, cells: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, width)."""
        if self.values:
            return np.array([[cell == value for value in self.values] for cell in cells], dtype=np.float32)
        found = np.array([np.nan if (x := number(cell)) is None else x for cell in cells], dtype=np.float64)
        missing = np.isnan(found)
        scaled = np.where(missing, 0.0, (found - self.mean) / self.scale)
        return np.stack([scaled, missing][: self.width], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Columns:
    """Turns rows of a table, JSON objects, into rows of numbers."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, content: Sequence[str], training: NDArray[np.int64]) -> Columns:
        """Kinds of columns from all rows; means, scales and values from the training rows.

        Args:
            content: n JSON objects, column → cell as text.
            training: int64 positions among them.
        """
        rows = [json.loads(row) for row in content]
        made = []
        for name in rows[0]:
            cells = [row[name] for row in rows]
            seen = [cells[i] for i in training]
            made.append(_fitted(name, seen) if is_numeric(cells) else Column(name, tuple(sorted(set(seen) - {""}))))
        return cls(tuple(column for column in made if column.width))

    @property
    def shape(self) -> InputShape:
        return InputShape.table(sum(column.width for column in self.columns))

    def encode(self, content: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, n_features)."""
        rows = [json.loads(row) for row in content]
        parts = [column.encode([row[column.name] for row in rows]) for column in self.columns]
        return np.concatenate(parts, axis=1) if rows else np.zeros((0, self.shape.n_features), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """JSON, kept beside the arrays."""
        return {"columns": [asdict(column) for column in self.columns]}


def _fitted(name: str, seen: Sequence[str]) -> Column:
    there = np.array([x for cell in seen if (x := number(cell)) is not None], dtype=np.float64)
    if not len(there):
        return Column(name, may_miss=True)
    spread = float(there.std())
    return Column(name, mean=float(there.mean()), scale=spread or 1.0, may_miss=len(there) < len(seen))
