"""τ as a product of thin matrices: what can be asked of it without ever holding it.

    τ = diag(Q) · Σ_c A_c B_cᵀ        A_c (n_train, p_c) training features, B_c (n_targets, p_c) solved targets / C

`Factors` answers from A, B and Q; `Matrix` answers the same questions from a given τ. Both: `block` forms a part,
`combine` multiplies by target weights, `gram` gives τᵀτ of some targets, `blocks` streams τ over training rows,
`extremes` keeps the largest and smallest of every column on the way. A and B are read in blocks of 16 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unskew.attribution.rows import BLOCK_NUMBERS, Index, Rows, row_blocks

Blocks = Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]


class Source(Protocol):
    """τ, however it is kept."""

    @property
    def n_train(self) -> int: ...
    @property
    def n_targets(self) -> int: ...
    def block(self, train: Index, targets: Index) -> NDArray[np.float32]: ...
    def blocks(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> Blocks: ...
    def combine(self, weights: NDArray[np.float64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]: ...
    def gram(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]: ...
    def products(self, weights: NDArray[np.float64]) -> Blocks: ...
    def peak_bytes(self, n_columns: int) -> int: ...


@dataclass(frozen=True)
class Restricted:
    """τ of some training examples, numbered from 0: what directions ask of a source."""

    source: Source
    train: NDArray[np.int64]

    @property
    def n_train(self) -> int:
        return len(self.train)

    @property
    def n_targets(self) -> int:
        return self.source.n_targets

    def blocks(self, targets: NDArray[np.int64]) -> Blocks:
        start = 0
        for _, block in self.source.blocks(targets, self.train):
            yield np.arange(start, start + len(block)), block
            start += len(block)

    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.source.combine(weights, self.train)

    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.source.gram(targets, self.train)


def _streamed_gram(source: Source, targets: NDArray[np.int64], train: NDArray[np.int64] | None) -> NDArray[np.float64]:
    total = np.zeros((len(targets), len(targets)))
    for _, block in source.blocks(targets, train):
        total += block.T @ block  # float32 products of a block, float64 sums of blocks
    return total


def extremes(source: Source, weights: NDArray[np.float64], n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n largest and n smallest numbers of every column of τ @ weights, in one pass over the training rows.

    Args:
        weights: float64 (n_targets, k).
        n: at most n_train.
    Returns:
        positions int64 and scores float32, both (2, k, n): largest falling, then smallest rising; ties by position.
    """
    n = min(n, source.n_train)
    k = weights.shape[1]
    place = np.zeros((2, k, 0), dtype=np.int64)
    score = np.zeros((2, k, 0), dtype=np.float32)  # of the negated scores for the smallest
    for rows, block in source.products(weights):
        both = np.stack([block.T, -block.T])  # (2, k, rows)
        score = np.concatenate([score, both], axis=2)
        place = np.concatenate([place, np.broadcast_to(rows, both.shape)], axis=2)
        if score.shape[2] > n:  # what came before stands first, so ties keep the smaller position
            order = np.argsort(-score, axis=2, kind="stable")[:, :, :n]
            score, place = np.take_along_axis(score, order, axis=2), np.take_along_axis(place, order, axis=2)
    order = np.argsort(-score, axis=2, kind="stable")
    score, place = np.take_along_axis(score, order, axis=2), np.take_along_axis(place, order, axis=2)
    score[1] *= -1
    return place, score


@dataclass(frozen=True)
class Factors:
    """τ from factors of one or more checkpoints.

    Attributes:
        train: C matrices (n_train, p_c).
        targets: C matrices (n_targets, p_c), the division by C included.
        weight: float64 (n_train,), of the training examples: a power of Q averaged over checkpoints.
    """

    train: list[Rows]
    targets: list[Rows]
    weight: NDArray[np.float64]

    @property
    def n_train(self) -> int:
        return len(self.weight)

    @property
    def n_targets(self) -> int:
        return self.targets[0].shape[0]

    @property
    def width(self) -> int:
        """Σ p_c."""
        return sum(a.shape[1] for a in self.train)

    def halves(self) -> tuple[Factors, Factors]:
        """By the first half of the checkpoints and by the rest, under the common weight; each up to a factor."""
        middle = len(self.train) // 2
        first = Factors(self.train[:middle], self.targets[:middle], self.weight)
        return first, Factors(self.train[middle:], self.targets[middle:], self.weight)

    def block(self, train: Index, targets: Index) -> NDArray[np.float32]:
        """float32 (n_train_block, n_targets_block)."""
        return self._block(train, [b.read(targets) for b in self.targets])

    def _block(self, train: Index, columns: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        weight = self.weight[train].astype(np.float32)[:, None]
        total = np.zeros((len(weight), len(columns[0])), dtype=np.float32)
        for a, b in zip(self.train, columns, strict=True):
            total += a.read(train) @ b.T
        total *= weight
        return total

    def _blocks(self, columns: list[NDArray[np.float32]], train: NDArray[np.int64] | None) -> Blocks:
        n = self.n_train if train is None else len(train)
        for rows in row_blocks(n, max(len(columns[0]), *(a.shape[1] for a in self.train))):
            chosen = np.arange(rows.start, rows.stop) if train is None else train[rows]
            yield chosen, self._block(rows if train is None else chosen, columns)

    def blocks(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> Blocks:
        """τ of some targets over all or some training examples, in order: (training positions, block)."""
        return self._blocks([b.read(targets) for b in self.targets], train)

    def products(self, weights: NDArray[np.float64]) -> Blocks:
        """τ @ weights in blocks of training rows, float32."""
        return self._blocks([d.T.astype(np.float32) for d in self._directions(weights)], None)

    def _directions(self, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """B_cᵀ weights, float64 (p_c, k) each; targets of weight 0 are not read."""
        used, found = np.flatnonzero(weights.any(axis=1)), []
        for b in self.targets:
            total = np.zeros((b.shape[1], weights.shape[1]))
            for rows in row_blocks(len(used), 2 * b.shape[1]):
                total += b.read(used[rows]).astype(np.float64).T @ weights[used[rows]]
            found.append(total)
        return found

    def combine(self, weights: NDArray[np.float64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """τ @ weights, float64 (n_train or the chosen, k), from weights (n_targets, k): O(n p k)."""
        directions = self._directions(weights)
        scale = self.weight if train is None else self.weight[train]
        total = np.zeros((len(scale), weights.shape[1]))
        for a, direction in zip(self.train, directions, strict=True):
            for rows in row_blocks(len(scale), 2 * a.shape[1]):
                total[rows] += a.read(rows if train is None else train[rows]).astype(np.float64) @ direction
        total *= scale[:, None]
        return total

    def gram(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """τᵀτ of some targets over all or some training examples, float64 (m, m), by whichever way is less work.

        Streaming τ costs n m (p + m); going through the second moment of the training factors costs n p² once, and is
        the way for many targets of a small model.
        """
        m, p = len(targets), self.width
        if train is not None or m * (p + m) < p * p:
            return _streamed_gram(self, targets, train)
        b = np.concatenate([b.read(targets).astype(np.float64) for b in self.targets], axis=1)  # (m, p)
        return np.asarray(b @ self._second_moment() @ b.T)

    def _second_moment(self) -> NDArray[np.float64]:
        """(WA)ᵀ(WA), W the weights, over all checkpoints' columns, float64 (p, p)."""
        total = np.zeros((self.width, self.width))
        for rows in row_blocks(self.n_train, 2 * self.width):
            block = np.concatenate([a.read(rows).astype(np.float64) for a in self.train], axis=1)
            block *= self.weight[rows, None]
            total += block.T @ block
        return total

    def peak_bytes(self, n_columns: int) -> int:
        """Memory that `combine`, `blocks` and `extremes` for so many columns take at most, beside their results."""
        read = max(a.shape[1] for a in self.train) * 64
        block = 4 * max(BLOCK_NUMBERS, read, 64 * n_columns)
        return 6 * block + 8 * n_columns * self.width + 8 * self.n_train


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

    def block(self, train: Index, targets: Index) -> NDArray[np.float32]:
        """float32 (n_train_block, n_targets_block)."""
        return np.asarray(self.tau[train][:, targets], dtype=np.float32)

    def blocks(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> Blocks:
        """τ of some targets over all or some training examples, in order: (training positions, block)."""
        for rows in row_blocks(self.n_train if train is None else len(train), len(targets)):
            chosen = np.arange(rows.start, rows.stop) if train is None else train[rows]
            yield chosen, self.block(rows if train is None else chosen, targets)

    def products(self, weights: NDArray[np.float64]) -> Blocks:
        """τ @ weights in blocks of training rows, float32."""
        for rows in row_blocks(self.n_train, self.n_targets):
            block = np.asarray(self.tau[rows], dtype=np.float32) @ weights.astype(np.float32)
            yield np.arange(rows.start, rows.stop), block

    def combine(self, weights: NDArray[np.float64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """τ @ weights, float64 (n_train or the chosen, k)."""
        chosen = np.arange(self.n_train) if train is None else train
        total = np.empty((len(chosen), weights.shape[1]))
        for rows in row_blocks(len(chosen), self.n_targets):
            total[rows] = np.asarray(self.tau[chosen[rows]], dtype=np.float64) @ weights
        return total

    def gram(self, targets: NDArray[np.int64], train: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """τᵀτ of some targets over all or some training examples, float64 (m, m)."""
        return _streamed_gram(self, targets, train)

    def peak_bytes(self, n_columns: int) -> int:
        """See `Factors.peak_bytes`."""
        return 6 * 4 * max(BLOCK_NUMBERS, 64 * self.n_targets) + 8 * self.n_train
