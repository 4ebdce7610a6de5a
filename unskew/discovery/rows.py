"""A target's row of τ as directions see it: after the row transform, streamed in blocks of training examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.enums import RowTransform


class Tau(Protocol):
    """What is asked of τ; `unskew.attribution.factors` has both kinds."""

    @property
    def n_train(self) -> int: ...
    @property
    def n_targets(self) -> int: ...
    def blocks(self, targets: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]: ...
    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]: ...


def blocks(
    tau: Tau, positions: NDArray[np.int64], transform: RowTransform
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """(training rows, transformed block of τ, float32 (rows, n_c)); together all training rows, in order."""
    for rows, block in tau.blocks(positions):
        yield rows, np.copysign(np.sqrt(np.abs(block)), block) if transform is RowTransform.SIGNED_SQRT else block


def inner_products(tau: Tau, positions: NDArray[np.int64], transform: RowTransform) -> NDArray[np.float64]:
    """Gram matrix of the transformed rows, float64 (n_c, n_c)."""
    if transform is RowTransform.NONE:
        return tau.gram(positions)
    total = np.zeros((len(positions), len(positions)))
    for _, block in blocks(tau, positions, transform):
        total += block.T @ block  # float32 products of a block, float64 sums of blocks
    return total


def lengths(tau: Tau, positions: NDArray[np.int64], transform: RowTransform) -> NDArray[np.float64]:
    """Euclidean length of every transformed row, float64 (n_c,)."""
    total = np.zeros(len(positions))
    for _, block in blocks(tau, positions, transform):
        total += np.einsum("ij,ij->j", block, block, dtype=np.float64)
    return np.sqrt(total)


def combine(
    tau: Tau, positions: NDArray[np.int64], transform: RowTransform, weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Weighted sums of the transformed rows, float32 (n_train, k), from weights (n_c, k)."""
    if transform is RowTransform.NONE:
        spread = np.zeros((tau.n_targets, weights.shape[1]))
        spread[positions] = weights
        return tau.combine(spread).astype(np.float32)
    total = np.empty((tau.n_train, weights.shape[1]), dtype=np.float32)
    right = weights.astype(np.float32)
    for rows, block in blocks(tau, positions, transform):
        total[rows] = block @ right
    return total


def project(
    tau: Tau, positions: NDArray[np.int64], transform: RowTransform, vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Inner products of the transformed rows with vectors over training examples, float64 (n_c, k)."""
    total = np.zeros((len(positions), vectors.shape[1]))
    for rows, block in blocks(tau, positions, transform):
        total += block.T @ vectors[rows]
    return total
