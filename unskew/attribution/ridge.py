"""The ridge solve ψ (ΦᵀΦ + a I)⁻¹ with damping a relative to the mean of the diagonal. numpy and scipy, float64 inside.

Damping decides the quality of attributions: with none, ΦᵀΦ is nearly singular and scores lose most of their LDS. Taken
relative to the diagonal it means the same whatever the scale of the gradients. `choose_damping` is the default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh, lapack

from unskew.attribution.rows import Rows, row_blocks
from unskew.errors import ModelError


@dataclass(frozen=True)
class Solved:
    """A solve and how well it went.

    Attributes:
        targets: float32 (n_targets, p), ψ (ΦᵀΦ + a I)⁻¹.
        damping: a, absolute.
        relative: a / mean_diagonal.
        mean_diagonal: of ΦᵀΦ.
        condition: estimate of the condition number (1-norm) of the damped matrix.
        fallback: the Cholesky factorisation failed and eigenvectors were used.
    """

    targets: NDArray[np.float32]
    damping: float
    relative: float
    mean_diagonal: float
    condition: float
    fallback: bool


def solve(train: Rows, targets: Rows, *, damping: float) -> Solved:
    """Apply the damped inverse of the training features' second moment to target features.

    With more features than training examples the same is computed from the (n_train, n_train) Gram matrix.

    Args:
        train: (n_train, p), Φ.
        targets: (n_targets, p), ψ.
        damping: λ > 0, relative to mean(diag(ΦᵀΦ)).
    Raises:
        ModelError: every training feature is 0.
    """
    return Ridge(train).solve(targets, damping=damping)


class Ridge:
    """The second moment of one checkpoint's training features, from which any damping follows.

    Args:
        curvature: (n_train,) > 0, w: the moment is Σ_i w_i φ_i φ_iᵀ, and damping is relative to its diagonal. None: 1.
    """

    def __init__(self, train: Rows, curvature: NDArray[np.float64] | None = None) -> None:
        n, p = self.shape = train.shape
        root = None if curvature is None else np.sqrt(curvature)
        self._whole: NDArray[np.float32] | None = None
        if p > n:  # smaller than the moment it replaces
            self._whole = train.read(slice(0, n))
            if root is not None:
                self._whole = self._whole * root[:, None].astype(np.float32)
            self._moment = _gram(self._whole)
        else:
            self._moment = _second_moment(train, root)
        self.mean_diagonal = float(np.trace(self._moment)) / p  # trace(ΦΦᵀ) = trace(ΦᵀΦ)
        if not self.mean_diagonal > 0:
            raise ModelError(
                "Every gradient feature of the training examples is 0.", fix="Use a checkpoint that has been trained."
            )

    def solve(self, targets: Rows, *, damping: float) -> Solved:
        """See the function `solve`."""
        absolute = damping * self.mean_diagonal
        matrix = self._moment.copy()
        matrix[np.diag_indices_from(matrix)] += absolute
        inverse = _Inverse(matrix, absolute)
        result = np.empty(targets.shape, dtype=np.float32)
        for rows in row_blocks(targets.shape[0], 2 * self.shape[1]):
            psi = targets.read(rows).astype(np.float64)  # (b, p)
            if self._whole is not None:  # (ΦᵀΦ + aI)⁻¹ = (I - Φᵀ (ΦΦᵀ + aI)⁻¹ Φ) / a
                psi = (psi - _back(self._whole, inverse.apply(_forward(self._whole, psi)))) / absolute
            else:
                psi = inverse.apply(psi.T).T
            result[rows] = psi
        return Solved(result, absolute, damping, self.mean_diagonal, inverse.condition, inverse.fallback)


def peak_bytes(n_train: int, n_targets: int, p: int) -> int:
    """Memory that a solve takes at most: moment, its factor and work space, and the solved targets."""
    side = min(n_train, p)
    whole = 4 * n_train * p if p > n_train else 0
    return 3 * 8 * side * side + whole + 4 * n_targets * p + 8 * 16 * 1024**2


class _Inverse:
    """Cholesky factor of a damped, symmetric matrix; eigenvectors where rounding has made it indefinite."""

    def __init__(self, matrix: NDArray[np.float64], floor: float) -> None:
        norm = float(np.abs(matrix).sum(axis=0).max())
        self.fallback = False
        try:
            self._factor = cho_factor(matrix, lower=True)
            reciprocal = float(lapack.dpocon(self._factor[0], norm, uplo="L")[0])
            self.condition = 1.0 / reciprocal if reciprocal > 0 else float("inf")
        except np.linalg.LinAlgError:
            self.fallback = True
            values, self._vectors = eigh(matrix)
            self._values = np.maximum(values, floor)  # no eigenvalue of ΦᵀΦ is negative, so none of the sum is below
            self.condition = float(self._values[-1] / self._values[0])

    def apply(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.fallback:
            return np.asarray(self._vectors @ ((self._vectors.T @ right) / self._values[:, None]))
        return np.asarray(cho_solve(self._factor, right))


def _second_moment(phi: Rows, root: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """ΦᵀΦ of rows times `root`, float64 (p, p)."""
    n, p = phi.shape
    total = np.zeros((p, p))
    for rows in row_blocks(n, 2 * p):
        block = phi.read(rows).astype(np.float64)
        if root is not None:
            block *= root[rows, None]
        total += block.T @ block
    return total


def _column_blocks(p: int, n: int) -> range:
    """Steps over columns that keep a float64 block of n rows below about 512 MiB."""
    return range(0, p, max(1, 64 * 1024**2 // n))


def _gram(phi: NDArray[np.float32]) -> NDArray[np.float64]:
    """ΦΦᵀ, float64 (n, n)."""
    n, p = phi.shape
    total, blocks = np.zeros((n, n)), _column_blocks(p, n)
    for start in blocks:
        block = np.asarray(phi[:, start : start + blocks.step], dtype=np.float64)
        total += block @ block.T
    return total


def _forward(phi: NDArray[np.float32], psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φψᵀ, float64 (n, b)."""
    n, p = phi.shape
    total, blocks = np.zeros((n, len(psi))), _column_blocks(p, n)
    for start in blocks:
        columns = slice(start, start + blocks.step)
        total += np.asarray(phi[:, columns], dtype=np.float64) @ psi[:, columns].T
    return total


def _back(phi: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Φᵀ weights)ᵀ, float64 (b, p), from weights (n, b)."""
    n, p = phi.shape
    result, blocks = np.empty((weights.shape[1], p)), _column_blocks(p, n)
    for start in blocks:
        columns = slice(start, start + blocks.step)
        result[:, columns] = weights.T @ np.asarray(phi[:, columns], dtype=np.float64)
    return result
