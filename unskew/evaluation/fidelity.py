"""Fidelity of attributions: the linear datamodelling score (LDS).

`half_subsets` draws what models are trained on, `lds` compares prediction and outcome target by target, `mean_lds`
says how well on average and how sure that is, `lds_advantage` by how much one attribution is better than another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.api import Interval


def lds(tau: NDArray[np.floating], subsets: NDArray[np.bool_], margins: NDArray[np.floating]) -> NDArray[np.float64]:
    """Does the summed attribution of a subset predict what training on that subset does?

    Spearman correlation, per target, between the sum of τ over each subset and the margin of models trained on it.

    Args:
        tau: (n_train, n_targets); positive = helps.
        subsets: bool (n_subsets, n_train), True where the example was trained on.
        margins: (n_subsets, n_targets) [logits], mean over the models trained on each subset.
    Returns:
        float64 (n_targets,) in [-1, 1]; NaN where either side is constant.
    Raises:
        ValueError: shapes do not fit, or there are fewer than 2 subsets.
    Source: Ilyas et al. 2022; Park et al. 2023 (TRAK), section 4.
    """
    if len(subsets) < 2 or subsets.shape[1] != len(tau) or margins.shape != (len(subsets), tau.shape[1]):
        raise ValueError(
            f"Shapes do not fit: tau {tau.shape}, subsets {subsets.shape}, margins {margins.shape}; need "
            "(n_train, n_targets), (n_subsets >= 2, n_train), (n_subsets, n_targets)."
        )
    return rank_correlation(subsets.astype(np.float64) @ tau.astype(np.float64), margins)


def half_subsets(n_train: int, n_subsets: int, seed: int) -> NDArray[np.bool_]:
    """Random halves of the training rows, bool (n_subsets, n_train).

    The first subsets do not depend on how many are drawn, so that models trained on them can be used again.
    """
    made = np.zeros((n_subsets, n_train), dtype=bool)
    for j, row in enumerate(made):
        row[np.random.default_rng([seed, j]).permutation(n_train)[: n_train // 2]] = True
    return made


def mean_lds(
    predicted: NDArray[np.floating], margins: NDArray[np.floating], *, n_boot: int = 200, seed: int = 0
) -> Interval:
    """Mean LDS over targets with its 95 % bootstrap interval: subsets and targets are drawn anew each time.

    Args:
        predicted: (n_subsets, n_targets), τ summed over each subset.
        margins: (n_subsets, n_targets), as measured.
    Returns:
        value, low, high; n = number of targets for which it is defined. All NaN when it is for none.
    """
    return _bootstrapped([(1.0, predicted)], margins, n_boot, seed)


def lds_advantage(
    ours: NDArray[np.floating],
    theirs: NDArray[np.floating],
    margins: NDArray[np.floating],
    *,
    times: float = 1.0,
    n_boot: int = 200,
    seed: int = 0,
) -> Interval:
    """Mean LDS of one attribution minus `times` that of another, over the same subsets and targets in every draw.

    Arguments as `mean_lds`; a target counts where both are defined.
    """
    return _bootstrapped([(1.0, ours), (-times, theirs)], margins, n_boot, seed)


def _bootstrapped(
    terms: list[tuple[float, NDArray[np.floating]]], margins: NDArray[np.floating], n_boot: int, seed: int
) -> Interval:
    """Mean over targets of a weighted sum of LDS, with its interval."""

    def each(drawn: tuple[NDArray[np.int64], ...]) -> NDArray[np.float64]:
        measured = margins[drawn]
        return np.asarray(sum(weight * rank_correlation(predicted[drawn], measured) for weight, predicted in terms))

    rng, (m, n), means = np.random.default_rng(seed), margins.shape, []
    found = each(np.ix_(np.arange(m), np.arange(n)))
    for _ in range(n_boot):
        again = each(np.ix_(rng.integers(0, m, size=m), rng.integers(0, n, size=n)))
        if np.isfinite(again).any():
            means.append(np.nanmean(again))
    defined = int(np.isfinite(found).sum())
    if not defined or not means:
        return Interval(value=np.nan, low=np.nan, high=np.nan, n=0)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(value=float(np.nanmean(found)), low=float(low), high=float(high), n=defined)


def rank_correlation(predicted: NDArray[np.floating], measured: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spearman correlation column by column, float64 (n_columns,); NaN where a column is constant."""
    from scipy.stats import rankdata  # here, so that importing this room stays cheap

    a, b = rankdata(predicted, axis=0), rankdata(measured, axis=0)
    a -= a.mean(axis=0)
    b -= b.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    correlation = np.full(len(scale), np.nan)
    np.divide((a * b).sum(axis=0), scale, out=correlation, where=scale > 0)
    return correlation
