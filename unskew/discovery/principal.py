"""Principal directions of one class's block of τ, without holding it: through the Gram matrix of its targets.

A target's row is its τ over all training examples, after the row transform and scaled to unit length. With R the
matrix of rows, (n_c, n_train), and H the centring, the Gram matrix H R Rᵀ H is n_c × n_c whatever n_train is; its
eigenvectors u and eigenvalues s give projections √s u and loadings Rᵀ H u / √s, the latter in a second pass over τ.

    RowTransform.NONE         R is linear in τ: Gram matrix and loadings come from the factors
    RowTransform.SIGNED_SQRT  sign(τ) √|τ| tames heavy tails: τ is streamed in blocks of training rows, twice
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

from unskew.schemas.enums import RowTransform
from unskew.schemas.params import DiscoverParams

_SCREE = 20
_DENSE_LIMIT = 1500  # targets of a class up to which all eigenvectors are computed; above, the leading ones by Lanczos
_TINY = 1e-10  # an eigenvalue below this share of the variance is rounding, not a direction


class Tau(Protocol):
    """What is asked of τ; `unskew.attribution.factors` has both kinds."""

    @property
    def n_train(self) -> int: ...
    @property
    def n_targets(self) -> int: ...
    def blocks(self, targets: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]: ...
    def combine(self, weights: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def gram(self, targets: NDArray[np.int64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class ClassDirections:
    """Directions of one class, the largest share of variance first.

    The positive end is the one with the higher target loss: projections correlate positively with it.

    Attributes:
        label: the class.
        positions: int64 (n_c,), the class's targets.
        projections: float32 (n_dirs, n_c).
        loadings: float32 (n_dirs, n_train), each of unit length; over all training examples.
        shares: float64 (n_dirs,), of the variance of the class's rows.
        scree: float64 (at most 20,), shares of the first directions.
        own_train: int64 (n_train_c,), positions of the class's own training examples.
    """

    label: int
    positions: NDArray[np.int64]
    projections: NDArray[np.float32]
    loadings: NDArray[np.float32]
    shares: NDArray[np.float64]
    scree: NDArray[np.float64]
    own_train: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.projections)

    def target_order(self) -> NDArray[np.int64]:
        """Indexes into `positions` by rising projection, (n_dirs, n_c): both ends of the strip of targets."""
        return np.argsort(self.projections, axis=1, kind="stable")

    def training_order(self) -> NDArray[np.int64]:
        """Positions of the class's own training examples by rising loading, (n_dirs, n_train_c)."""
        return self.own_train[np.argsort(self.loadings[:, self.own_train], axis=1, kind="stable")]


@dataclass(frozen=True)
class Decomposition:
    """Leading directions of centred rows given by their Gram matrix.

    Attributes:
        projections: float64 (n_dirs, n), centred or not as asked.
        coefficients: float64 (n_dirs, n), loadings = coefficients @ transformed, unscaled rows.
        shares, scree: see `ClassDirections`.
    """

    projections: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    shares: NDArray[np.float64]
    scree: NDArray[np.float64]


def class_directions(
    tau: Tau,
    *,
    label: int,
    positions: NDArray[np.int64],
    own_train: NDArray[np.int64],
    target_loss: NDArray[np.floating],
    params: DiscoverParams,
) -> ClassDirections:
    """Directions of one class's targets.

    Args:
        positions: int64 (n_c,), its targets; with fewer than 2 there is no direction.
        own_train: int64, positions of its training examples.
        target_loss: (n_c,) [nats], decides signs.
    """
    signed_sqrt = params.row_transform is RowTransform.SIGNED_SQRT
    gram = _signed_sqrt_gram(tau, positions) if signed_sqrt else tau.gram(positions)
    found = directions_pca(gram, n=params.n_directions, normalise=params.normalise_rows, centre=params.centre)
    sign = _signs(found.projections, np.asarray(target_loss, dtype=np.float64))
    coefficients = sign[:, None] * found.coefficients
    loadings = (_signed_sqrt_loadings if signed_sqrt else _linear_loadings)(tau, positions, coefficients)
    return ClassDirections(
        label=label,
        positions=positions.astype(np.int64),
        projections=(sign[:, None] * found.projections).astype(np.float32),
        loadings=loadings,
        shares=found.shares,
        scree=found.scree,
        own_train=own_train.astype(np.int64),
    )


def directions_pca(gram: NDArray[np.float64], *, n: int, normalise: bool, centre: bool) -> Decomposition:
    """Principal components of rows known by their inner products.

    Components are always fitted on centred rows; `centre` says whether projections are centred too, which decides what
    a split at 0 means. Uncentred, one side may be nearly empty.

    Args:
        gram: float64 (m, m), inner products of the (transformed) rows.
        normalise: scale rows to unit length first; a row of zeros stays.
    """
    m = len(gram)
    length = np.sqrt(np.maximum(np.diag(gram), 0))
    scale = np.ones(m)
    if normalise:
        scale = np.divide(1.0, length, out=np.zeros(m), where=length > 0)
    gram = gram * scale[:, None] * scale
    mean = gram.mean(axis=0)
    half = gram - mean[:, None]  # H R Rᵀ
    centred = half - half.mean(axis=1, keepdims=True)  # H R Rᵀ H
    total = max(float(np.trace(centred)), 0.0)
    values, vectors = _leading(centred, min(max(n, _SCREE), m - 1) if m > 1 else 0)
    real = values > _TINY * total
    values, vectors = values[real], vectors[:, real]
    shares = values / total if total > 0 else values
    u, root = vectors[:, :n], np.sqrt(values[:n])
    projections = u * root if centre else (half.T @ u) / root
    return Decomposition(projections.T, ((u / root) * scale[:, None]).T, shares[:n], shares[:_SCREE])


def _leading(matrix: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The k largest eigenvalues, falling, and their eigenvectors as columns."""
    m = len(matrix)
    if k == 0:
        return np.empty(0), np.empty((m, 0))
    if m <= _DENSE_LIMIT:
        values, vectors = eigh(matrix, subset_by_index=[m - k, m - 1])
    else:
        start = np.random.default_rng(0).standard_normal(m)  # Lanczos is deterministic given its first vector
        values, vectors = eigsh(matrix, k=k, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _signs(projections: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """+1 or -1 a direction: projections rise with the loss; where loss says nothing, the longest is positive."""
    centred = loss - loss.mean()
    slope = projections @ centred
    noise = 1e-9 * np.linalg.norm(projections, axis=1) * np.linalg.norm(centred)
    longest = np.take_along_axis(projections, np.abs(projections).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(np.where(np.abs(slope) > noise, slope, longest) < 0, -1.0, 1.0)


def _signed_sqrt(block: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.copysign(np.sqrt(np.abs(block)), block)


def _signed_sqrt_gram(tau: Tau, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros((len(positions), len(positions)))
    for _, block in tau.blocks(positions):
        block = _signed_sqrt(block)  # (rows, n_c)
        total += block.T @ block  # float32 products of a block, float64 sums of blocks
    return total


def _signed_sqrt_loadings(
    tau: Tau, positions: NDArray[np.int64], coefficients: NDArray[np.float64]
) -> NDArray[np.float32]:
    loadings = np.empty((len(coefficients), tau.n_train), dtype=np.float32)
    right = coefficients.T.astype(np.float32)
    for rows, block in tau.blocks(positions):
        loadings[:, rows] = (_signed_sqrt(block) @ right).T
    return loadings


def _linear_loadings(tau: Tau, positions: NDArray[np.int64], coefficients: NDArray[np.float64]) -> NDArray[np.float32]:
    weights = np.zeros((tau.n_targets, len(coefficients)))
    weights[positions] = coefficients.T
    return tau.combine(weights).T.astype(np.float32)
