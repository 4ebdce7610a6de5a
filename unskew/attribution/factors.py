"""τ as a product of thin matrices: what can be asked of it without ever holding it.

    τ = diag(Q) · Σ_c A_c B_cᵀ        A_c (n_train, p_c) training features, B_c (n_targets, p_c) solved targets / C

`Factors` answers from A, B and Q; `Matrix` answers the same questions from a given τ. Both: `block` forms a part,
`combine` multiplies by target weights, `gram` gives τᵀτ of some targets, `blocks` streams τ over training rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = slice | NDArray[np.int64]

_BLOCK_NUMBERS = 4 * 1024**2  # at a time: 16 MiB in float32, about what a processor's cache keeps for the next use


class Source(Protocol):
    """τ, however it is kept."""

    @property
    def n_train(self) -> int: ...
    @property
    def n_targets(self) -> int: ...
    def block(self, train: Rows, targets: Rows) -> NDArray[np.float32]: ...
    def blocks(self, targets: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]: ...
    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]: ...


def row_blocks(n_train: int, n_columns: int) -> Iterator[slice]:
    """Slices over training rows that keep a block of n_columns below 16 MiB, but of 64 rows at least."""
    step = max(64, _BLOCK_NUMBERS // max(1, n_columns))
    for start in range(0, n_train, step):
        yield slice(start, min(start + step, n_train))


def _streamed(source: Source, targets: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    for rows in row_blocks(source.n_train, len(targets)):
        yield rows, source.block(rows, targets)


def _streamed_gram(source: Source, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros((len(targets), len(targets)))
    for _, block in source.blocks(targets):
        total += block.T @ block  # float32 products of a block, float64 sums of blocks
    return total


@dataclass(frozen=True)
class Factors:
    """τ from factors of one or more checkpoints.

    Attributes:
        train: C arrays float32 (n_train, p_c), possibly memory-mapped.
        targets: C arrays float32 (n_targets, p_c), the division by C included.
        one_minus_p: float64 (n_train,), Q averaged over checkpoints.
    """

    train: list[NDArray[np.float32]]
    targets: list[NDArray[np.float32]]
    one_minus_p: NDArray[np.float64]

    @property
    def n_train(self) -> int:
        return len(self.one_minus_p)

    @property
    def n_targets(self) -> int:
        return len(self.targets[0])

    @property
    def width(self) -> int:
        """Σ p_c."""
        return sum(a.shape[1] for a in self.train)

    def block(self, train: Rows, targets: Rows) -> NDArray[np.float32]:
        """float32 (n_train_block, n_targets_block)."""
        q = self.one_minus_p[train].astype(np.float32)[:, None]
        total = np.zeros((len(q), len(np.arange(self.n_targets)[targets])), dtype=np.float32)
        for a, b in zip(self.train, self.targets, strict=True):
            total += np.asarray(a[train]) @ np.asarray(b[targets]).T
        total *= q
        return total

    def blocks(self, targets: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """τ of some targets over all training examples, in order: (training rows, block)."""
        return _streamed(self, targets)

    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """τ @ weights, float64 (n_train, k), from weights (n_targets, k): O(n p k)."""
        total = np.zeros((self.n_train, weights.shape[1]))
        used = np.flatnonzero(weights.any(axis=1))
        for a, b in zip(self.train, self.targets, strict=True):
            direction = np.asarray(b[used], dtype=np.float64).T @ weights[used]  # (p_c, k)
            for rows in row_blocks(self.n_train, a.shape[1]):
                total[rows] += np.asarray(a[rows], dtype=np.float64) @ direction
        total *= self.one_minus_p[:, None]
        return total

    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """τᵀτ of some targets, float64 (m, m), by whichever way is less work.

        Streaming τ costs n m (p + m); going through the second moment of the training factors costs n p² once, and is
        the way for many targets of a small model.
        """
        m, p = len(targets), self.width
        if m * (p + m) < p * p:
            return _streamed_gram(self, targets)
        b = np.concatenate([np.asarray(b[targets], dtype=np.float64) for b in self.targets], axis=1)  # (m, p)
        return np.asarray(b @ self._second_moment() @ b.T)

    def _second_moment(self) -> NDArray[np.float64]:
        """(QA)ᵀ(QA) over all checkpoints' columns, float64 (p, p)."""
        total = np.zeros((self.width, self.width))
        for rows in row_blocks(self.n_train, 2 * self.width):
            block = np.concatenate([np.asarray(a[rows], dtype=np.float64) for a in self.train], axis=1)
            block *= self.one_minus_p[rows, None]
            total += block.T @ block
        return total


@dataclass(frozen=True)
class Matrix:
    """τ given whole, float32 (n_train, n_targets), possibly memory-mapped."""

    tau: NDArray[np.float32]

    @property
    def n_train(self) -> int:
        return int(self.tau.shape[0])

    @property
    def n_targets(self) -> int:
        return int(self.tau.shape[1])

    def block(self, train: Rows, targets: Rows) -> NDArray[np.float32]:
        """float32 (n_train_block, n_targets_block)."""
        return np.asarray(self.tau[train][:, targets], dtype=np.float32)

    def blocks(self, targets: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """τ of some targets over all training examples, in order: (training rows, block)."""
        return _streamed(self, targets)

    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """τ @ weights, float64 (n_train, k)."""
        total = np.empty((self.n_train, weights.shape[1]))
        for rows in row_blocks(self.n_train, self.n_targets):
            total[rows] = np.asarray(self.tau[rows], dtype=np.float64) @ weights
        return total

    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """τᵀτ of some targets, float64 (m, m)."""
        return _streamed_gram(self, targets)
