"""Intervals and tests: Wilson for shares, t for means over seeds, exact McNemar for two models on the same examples,
DeLong for the area under a ROC curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.api import Interval

_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson(k: int, n: int, *, z: float = _Z95) -> Interval:
    """Wilson score interval of the share k/n, at 95 % unless another normal quantile z is given.

    Unlike the normal approximation it stays inside [0, 1] and is not empty at k = 0 or k = n. With n = 0 nothing is
    known: value 0, low 0, high 1, n 0.

    Raises:
        ValueError: not 0 <= k <= n.
    Source: Wilson (1927); Brown, Cai and DasGupta (2001) recommend it for small n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k = {k} must lie in 0 … n = {n}.")
    if n == 0:
        return Interval(value=0.0, low=0.0, high=1.0, n=0)
    share, z2 = k / n, z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the bound is exactly the share; rounding must not put it on the other side.
    return Interval(value=share, low=max(0.0, min(centre - half, share)), high=min(1.0, max(centre + half, share)), n=n)


def newcombe(k1: int, n1: int, k2: int, n2: int, *, z: float = _Z95) -> Interval:
    """Interval of the difference k1/n1 - k2/n2 of two independent shares, in [-1, 1]; its n is the smaller of both.

    With an empty side nothing is known: value 0, low -1, high 1.

    Raises:
        ValueError: not 0 <= k <= n on either side.
    Source: Newcombe (1998), method 10: the distances of the Wilson bounds, added in quadrature.
    """
    a, b = wilson(k1, n1, z=z), wilson(k2, n2, z=z)
    if min(n1, n2) == 0:
        return Interval(value=0.0, low=-1.0, high=1.0, n=0)
    d = a.value - b.value
    low = d - sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    high = d + sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Interval(value=d, low=max(-1.0, low), high=min(1.0, high), n=min(n1, n2))


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with its 95 % t interval; one value gives low = high = value. Not clipped to [0, 1].

    Raises:
        ValueError: no value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"Need at least one finite value; got {list(values)!r}.")
    mean, n = float(array.mean()), int(array.size)
    if n == 1:
        return Interval(value=mean, low=mean, high=mean, n=1)
    from scipy.special import stdtrit  # here, so that importing this room stays cheap

    half = float(stdtrit(n - 1, 0.975)) * float(array.std(ddof=1)) / sqrt(n)
    return Interval(value=mean, low=mean - half, high=mean + half, n=n)


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p-value that b and c differ by chance alone.

    b and c count the examples on which two models disagree about being right, one for each winner; under the null
    hypothesis each disagreement is a fair coin. No disagreement gives 1.
    Source: McNemar (1947), in its exact binomial form.
    """
    if b < 0 or c < 0:
        raise ValueError(f"Counts cannot be negative: b = {b}, c = {c}.")
    if b + c == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(b, c), b + c, 0.5)))


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> Interval:
    """Chance that a positive example scores higher than a negative one, ties counting half; n = the smaller side.

    With an empty side nothing is known: value 0.5, low 0, high 1.

    Source: DeLong, DeLong and Clarke-Pearson (1988), computed from mid-ranks (Sun and Xu 2014).
    """
    values: NDArray[np.float64] = np.asarray(score, dtype=np.float64)
    positive = np.asarray(positive, dtype=bool)
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if min(n1, n0) == 0:
        return Interval(value=0.5, low=0.0, high=1.0, n=0)
    ranks = _mid_ranks(values)
    beaten = (ranks[positive] - _mid_ranks(values[positive])) / n0  # of the negatives, by each positive
    beating = 1 - (ranks[~positive] - _mid_ranks(values[~positive])) / n1
    value = float(beaten.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.25 for v in (beaten, beating))
    half = _Z95 * sqrt(variance)
    return Interval(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=min(n1, n0))


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the middle one."""
    _, place, n_equal = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (n_equal.cumsum() - (n_equal - 1) / 2)[place]
    return ranks
