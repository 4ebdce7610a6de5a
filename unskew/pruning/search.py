"""The choice of K: a grid around the star, and the best of it on validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError
from unskew.pruning.removal import heuristic_k, kept, removed

CurvePoint = tuple[int, float, float]  # K, worst-group accuracy, balanced accuracy

# Shares of the star. Measured on two data sets, WGA over K is an inverted U whose top lies at or below the star.
_SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.1)
_SHARE_WITHOUT_STAR = 0.1  # of n_train: where to look when no row has T < 0


def default_grid(star: int, n_train: int) -> list[int]:
    """Up to seven K, rising, up to 1.1 × the star, the star among them; K = 0 (ERM) is not listed but always competes.

    Small stars give fewer values, because equal ones fall together.

    Raises:
        SettingsError: fewer than 2 training examples, or a star out of range.
    """
    if n_train < 2 or not 0 <= star <= n_train:
        raise SettingsError(
            f"The star {star} does not fit {n_train} training examples.",
            fix="There must be at least 2 of them.",
        )
    centre = star or max(1, round(_SHARE_WITHOUT_STAR * n_train))
    return sorted({min(max(1, round(share * centre)), n_train - 1) for share in _SHARES})


def choose_k(curve: Sequence[CurvePoint]) -> int:
    """K*: the K with the highest validation worst-group accuracy; ties: the higher balanced accuracy, the smaller K.

    Args:
        curve: (K, worst-group accuracy, balanced accuracy), averaged over seeds; K = 0 must be there, because removing
            nothing has to be able to win.
    Raises:
        ValueError: K = 0 is not in the curve.
    """
    if all(k != 0 for k, _, _ in curve):
        raise ValueError("The curve has no point at K = 0; removing nothing must compete.")
    return min(curve, key=lambda point: (-point[1], -point[2], point[0]))[0]


def search_k(
    alignment: NDArray[np.floating],
    evaluate: Callable[[NDArray[np.int64]], tuple[float, float]],
    grid: Sequence[int] | None = None,
) -> tuple[int, list[CurvePoint]]:
    """Retrain over a grid of K and choose the best.

    Args:
        alignment: (n_train,), T.
        evaluate: trains on the given kept positions (int64) and returns (worst-group, balanced) validation accuracy.
        grid: values of K; default `default_grid` around the star. K = 0 is added.
    Returns:
        K* and the whole curve, K rising.
    """
    n = len(alignment)
    values = default_grid(heuristic_k(alignment), n) if grid is None else grid
    curve = [(k, *evaluate(kept(n, removed(alignment, k)))) for k in sorted({0, *values})]
    return choose_k(curve), curve
