"""The error-guided direction of a class: where the rows of τ of badly predicted targets point.

Inside a class, the covariance of rows r_z (transformed, of unit length) with the loss is the direction of the first
component of partial least squares,

    v_c = Σ_z (loss_z - mean loss) r_z

With more than two classes the mean is what the mixture of rivals says of the loss, and so it is wherever something is
centred here (`discovery.rivals`).

A class has few errors, and part of what makes them is chance or plain difficulty. What a bias does is the same in all
classes: the examples that it serves badly owe their loss to the same training examples, those that show the attribute
with the other label. So the direction of class c is v_c plus what all other classes say,

    d_c = v_c / |v_c| + u / |u|        u = Σ_{b ≠ c} v_b / |v_b|

and a target is scored by directions that did not see its own loss: v_c is fitted on four fifths of the class's targets
to score the rest, and u never saw the class. Measured in docs/evidence.md.
Source: partial least squares, Wold 1975; the sum over classes is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.cut import cut
from unskew.discovery import rows
from unskew.discovery.rivals import basis, one_rival
from unskew.discovery.rows import Tau
from unskew.schemas.api import Interval
from unskew.schemas.enums import CutRule, RowTransform

_FOLDS = 5
_TINY = 1e-6  # float32 rounding of a difference of unit vectors
FEWEST = 10  # targets of a class below which its errors say nothing


@dataclass(frozen=True)
class Errors:
    """What the errors of all classes say together.

    Attributes:
        axis: float32 (n_train,), see `error_axis`.
        alike: class → likeness, averaged with the other classes'; None with too few errors. See `discovery.alike`.
    """

    axis: NDArray[np.float32]
    alike: dict[int, Interval | None]


@dataclass(frozen=True)
class ErrorGuided:
    """The error-guided direction of one class.

    Attributes:
        projection: float64 (n_c,), cross-fitted; above 0 are as many targets as the model gets wrong.
        loading: float32 (n_train,), of unit length.
        share: of the variance of the class's rows.
    """

    projection: NDArray[np.float64]
    loading: NDArray[np.float32]
    share: float


def error_axis(
    tau: Tau,
    classes: Mapping[int, NDArray[np.int64]],
    target_loss: NDArray[np.floating],
    transform: RowTransform,
    mixtures: Mapping[int, NDArray[np.float64]],
) -> NDArray[np.float32]:
    """Σ_c v_c / |v_c| over all classes, float32 (n_train,): what the classes' errors have in common.

    Args:
        classes: class → positions of its targets.
        target_loss: (n_targets,) [nats].
        mixtures: class → (n_c, m), of rivals.
    """
    total = np.zeros(tau.n_train, dtype=np.float32)
    for label, positions in classes.items():
        length = rows.lengths(tau, positions, transform)
        everything = np.ones((len(positions), 1), dtype=bool)
        weights = _slopes(length, target_loss[positions], everything, mixtures[label])
        total += _unit(rows.combine(tau, positions, transform, weights))[:, 0]
    return total


def error_guided(
    tau: Tau,
    positions: NDArray[np.int64],
    target_loss: NDArray[np.floating],
    wrong: NDArray[np.bool_],
    axis: NDArray[np.float32],
    transform: RowTransform,
    mixture: NDArray[np.float64] | None = None,
) -> ErrorGuided | None:
    """The direction of one class, or None where its losses say nothing (fewer than 10 targets, or all alike).

    Args:
        target_loss, wrong: (n_c,) of the class's targets: mean cross-entropy [nats], and whether the model errs.
        axis: from `error_axis`, this class included.
        mixture: of rivals, (n_c, m); None: all have the same.
    """
    n = len(positions)
    if n < FEWEST or np.ptp(target_loss) == 0:
        return None
    fold = np.random.default_rng(0).permutation(np.arange(n) % _FOLDS)
    used = np.concatenate([fold[:, None] != np.arange(_FOLDS), np.ones((n, 1), dtype=bool)], axis=1)  # last: all
    length = rows.lengths(tau, positions, transform)
    mixture = one_rival(n) if mixture is None else mixture
    q = basis(mixture)
    weights = np.column_stack([_slopes(length, target_loss, used, mixture), q / _nonzero(length)[:, None]])
    sums = rows.combine(tau, positions, transform, weights)
    own, spanned = _unit(sums[:, : _FOLDS + 1]), sums[:, _FOLDS + 1 :]  # (n_train, folds + 1), (n_train, m)
    others = _unit((axis - own[:, -1])[:, None])
    vectors = _unit(own + others)
    scores = rows.project(tau, positions, transform, vectors) / _nonzero(length)[:, None]
    fitted = np.column_stack([_fitted(mixture, scores[:, k], used[:, k]) for k in range(_FOLDS)])
    each = np.arange(n)
    projection = scores[each, fold] - fitted[each, fold]
    left = scores[:, -1] - q @ (q.T @ scores[:, -1])
    share = float(np.mean(left**2) / max(1 - float(np.square(spanned, dtype=np.float64).sum()) / n, _TINY))
    at = cut(projection, CutRule.ERRORS, int(wrong.sum()))
    return ErrorGuided(projection - at, vectors[:, -1], min(1.0, share))


def _slopes(
    length: NDArray[np.float64],
    loss: NDArray[np.floating],
    used: NDArray[np.bool_],
    mixture: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weights of the rows in v, (n_c, k): each column over the targets that it may use."""
    loss = np.asarray(loss, dtype=np.float64)
    usual = np.column_stack([_fitted(mixture, loss, column) for column in used.T])
    weights: NDArray[np.float64] = np.where(used, loss[:, None] - usual, 0.0) / _nonzero(length)[:, None]
    return weights


def _fitted(mixture: NDArray[np.float64], values: NDArray[np.floating], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What the mixture of rivals says of values, (n_c,), learnt from those that may be used; a mean if m is 1."""
    if mixture.shape[1] == 1:
        return np.full(len(values), values[used].mean())
    coefficients = np.linalg.lstsq(mixture[used], values[used], rcond=1e-6)[0]
    fitted: NDArray[np.float64] = mixture @ coefficients
    return fitted


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns scaled to length 1; a column of rounding errors becomes 0."""
    length = np.linalg.norm(vectors.astype(np.float64), axis=0)
    unit: NDArray[np.float32] = np.where(length > _TINY, vectors / np.maximum(length, _TINY), 0.0).astype(np.float32)
    return unit


def _nonzero(length: NDArray[np.float64]) -> NDArray[np.float64]:
    """A row of zeros stays a row of zeros when divided by its length."""
    divisor: NDArray[np.float64] = np.where(length > 0, length, 1.0)
    return divisor
