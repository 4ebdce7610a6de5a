"""Tall matrices read a block of rows at a time, so that memory holds a block and not the matrix. numpy only.

Files are read with plain reads, not mapped: pages of a mapped file count as memory of the process for as long as the
system likes, and a pass over a large one would look like, and be accounted as, holding it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Index = slice | NDArray[np.int64]

BLOCK_NUMBERS = 4 * 1024**2  # read at a time: 16 MiB in float32, about what a processor's cache keeps for the next use


class Rows(Protocol):
    """float32 (n, p), however it is kept; `scale` (n,) where it is kept in float16, else None."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def scale(self) -> NDArray[np.float32] | None: ...
    def read(self, index: Index) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class InMemory:
    """An array, possibly float16 with a factor a row; see `Features`."""

    array: NDArray[np.floating]
    scale: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.array.shape[0]), int(self.array.shape[1])

    def read(self, index: Index) -> NDArray[np.float32]:
        block = np.asarray(self.array[index], dtype=np.float32)
        return block if self.scale is None else block * self.scale[index][:, None]


class OnDisk:
    """A .npy file, row-major, float16 or float32, with a factor a row where it is float16."""

    def __init__(self, path: Path, scale: NDArray[np.float32] | None = None) -> None:
        mapped = np.load(path, mmap_mode="r")  # for the header only
        if mapped.ndim != 2 or not mapped.flags.c_contiguous:
            raise ValueError(f"{path} holds {mapped.shape}; need a row-major matrix.")
        self.path, self.scale = path, scale
        self.dtype = mapped.dtype
        self.shape: tuple[int, int] = (int(mapped.shape[0]), int(mapped.shape[1]))
        self._offset = int(mapped.offset)

    def read(self, index: Index) -> NDArray[np.float32]:
        rows = np.arange(self.shape[0])[index] if not isinstance(index, slice) or index.step not in (None, 1) else index
        raw = self._span(*rows.indices(self.shape[0])[:2]) if isinstance(rows, slice) else self._scattered(rows)
        block = np.asarray(raw, dtype=np.float32)
        return block if self.scale is None else block * self.scale[index][:, None]

    def _span(self, start: int, stop: int) -> NDArray[np.floating]:
        stop, width = max(start, stop), self.shape[1]
        offset = self._offset + start * width * self.dtype.itemsize
        found = np.fromfile(self.path, self.dtype, count=(stop - start) * width, offset=offset)
        return found.reshape(stop - start, width)

    def _scattered(self, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        found = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        size = self.shape[1] * self.dtype.itemsize
        with open(self.path, "rb", buffering=0) as file:
            for place, row in zip(found, rows, strict=True):
                file.seek(self._offset + int(row) * size)
                file.readinto(place.data)
        return found


@dataclass(frozen=True)
class Chunked:
    """Several matrices of one width, one below the other: what the chunks of a split left."""

    parts: tuple[Rows, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    @property
    def scale(self) -> NDArray[np.float32] | None:
        found = [part.scale for part in self.parts if part.scale is not None]
        return np.concatenate(found) if len(found) == len(self.parts) else None

    def read(self, index: Index) -> NDArray[np.float32]:
        rows = np.arange(self.shape[0])[index]
        result = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        start = 0
        for part in self.parts:
            inside = (rows >= start) & (rows < start + part.shape[0])
            if inside.any():
                wanted = rows[inside] - start
                result[inside] = part.read(_as_slice(wanted))
            start += part.shape[0]
        return result


def _as_slice(rows: NDArray[np.int64]) -> Index:
    """Consecutive rows as a slice, which is read at once."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and bool((np.diff(rows) == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def save_rows(path: Path, rows: Rows) -> None:
    """Write a matrix block by block as it is kept: float16 with its factors beside it ("…_scale.npy"), or float32."""
    n, p = rows.shape
    half = rows.scale
    kept = np.dtype(np.float16 if half is not None else np.float32)
    with open(path, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(kept), "fortran_order": False, "shape": (n, p)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in row_blocks(n, p):
            values = rows.read(block)
            if half is not None:
                values = values / half[block][:, None]  # powers of two: exact
            file.write(np.ascontiguousarray(values, dtype=kept).data)
    if half is not None:
        np.save(path.with_name(f"{path.stem}_scale.npy"), half)


def row_blocks(n: int, width: int, numbers: int = BLOCK_NUMBERS) -> list[slice]:
    """Slices over n rows that keep a block of `width` columns below `numbers`, but of 64 rows at least."""
    step = max(64, numbers // max(1, width))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def weighted_sum(rows: Rows, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_i weights_i row_i, float64 (p,), in one pass."""
    n, p = rows.shape
    total = np.zeros(p)
    for block in row_blocks(n, 2 * p):
        total += weights[block] @ rows.read(block).astype(np.float64)
    return total


def products(rows: Rows, vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Every row times a vector (p,), float64 (n,), in one pass."""
    n, p = rows.shape
    found = np.empty(n)
    for block in row_blocks(n, 2 * p):
        found[block] = rows.read(block).astype(np.float64) @ vector
    return found
