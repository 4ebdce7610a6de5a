"""Agreement of people: Cohen's kappa with its interval. numpy only."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from unskew.evaluation.intervals import _Z95
from unskew.schemas.api import Interval


def kappa(first: NDArray[np.integer], second: NDArray[np.integer]) -> Interval | None:
    """Cohen's kappa of two people's labels of the same examples, with its 95 % large-sample interval.

    1 is full agreement, 0 what chance would give with the same shares of labels. None where it is not defined: no
    common example, or both people gave everything the same label.

    Args:
        first, second: (n,), any integer codes.
    Source: Cohen (1960), standard error of his formula; McHugh (2012). Clipped to [-1, 1].
    """
    n = len(first)
    if n == 0:
        return None
    codes = np.union1d(first, second)
    shares = [np.array([(who == code).mean() for code in codes]) for who in (first, second)]
    observed, expected = float((first == second).mean()), float(shares[0] @ shares[1])
    if expected >= 1:
        return None
    value = (observed - expected) / (1 - expected)
    half = _Z95 * sqrt(observed * (1 - observed) / n) / (1 - expected)
    return Interval(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), n=n)


def more_needed(share: Interval, *, half_width: float = 0.1, at_least: int = 20) -> int:
    """How many more examples of a group are needed before its accuracy is known to ± half_width at 95 %.

    The normal approximation at the middle of the Wilson interval, which stays off 0 and 1 while n is small.
    """
    middle = (share.low + share.high) / 2
    wanted = ceil(middle * (1 - middle) * (_Z95 / half_width) ** 2)
    return max(0, max(at_least, wanted) - share.n)
