"""Principal directions of one class's block of τ, without holding it: through the Gram matrix of its targets.

A target's row is its τ over all training examples, after the row transform and scaled to unit length. With R the
matrix of rows, (n_c, n_train), and H the centring (on the mixture of rivals, `discovery.rivals`), the Gram matrix
H R Rᵀ H is n_c × n_c whatever n_train is; its eigenvectors u and eigenvalues s give
projections √s u and loadings Rᵀ H u / √s, the latter in a second pass over τ.

    RowTransform.NONE         R is linear in τ: Gram matrix and loadings come from the factors
    RowTransform.SIGNED_SQRT  sign(τ) √|τ| tames heavy tails: τ is streamed in blocks of training rows, twice
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

from unskew.discovery.rivals import basis, one_rival

_SCREE = 20
_DENSE_LIMIT = 1500  # targets of a class up to which all eigenvectors are computed; above, the leading ones by Lanczos
_TINY = 1e-10  # an eigenvalue below this share of the variance is rounding, not a direction


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


def directions_pca(
    gram: NDArray[np.float64],
    *,
    n: int,
    normalise: bool,
    centre: bool,
    mixture: NDArray[np.float64] | None = None,
) -> Decomposition:
    """Principal components of rows known by their inner products.

    Components are always fitted on centred rows; `centre` says whether projections are centred too, which decides what
    a split at 0 means. Uncentred, one side may be nearly empty.

    Args:
        gram: float64 (m, m), inner products of the (transformed) rows.
        normalise: scale rows to unit length first; a row of zeros stays.
        mixture: of rivals, (m, …): what it says of the rows is taken out in place of the mean; None: the mean.
    """
    m = len(gram)
    length = np.sqrt(np.maximum(np.diag(gram), 0))
    scale = np.ones(m)
    if normalise:
        scale = np.divide(1.0, length, out=np.zeros(m), where=length > 0)
    gram = gram * scale[:, None] * scale
    q = basis(one_rival(m) if mixture is None else mixture)  # H = 1 - q qᵀ
    half = gram - q @ (q.T @ gram)  # H R Rᵀ
    centred = half - (half @ q) @ q.T  # H R Rᵀ H
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


def signs(projections: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """+1 or -1 a direction: projections rise with the loss; where loss says nothing, the longest is positive."""
    centred = loss - loss.mean()
    slope = projections @ centred
    noise = 1e-9 * np.linalg.norm(projections, axis=1) * np.linalg.norm(centred)
    longest = np.take_along_axis(projections, np.abs(projections).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(np.where(np.abs(slope) > noise, slope, longest) < 0, -1.0, 1.0)
