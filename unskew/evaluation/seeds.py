"""One method over its seeds: means with intervals, and what stands in for an interval where there is one seed only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from unskew.evaluation.intervals import mean_interval, wilson
from unskew.evaluation.metrics import GroupMetrics
from unskew.schemas.api import Interval


@dataclass(frozen=True)
class SeedSummary:
    """The four summaries of a method, and each group's accuracy.

    Attributes:
        groups: position = group number; None for an empty group.
    """

    worst_group_accuracy: Interval
    balanced_accuracy: Interval
    average_accuracy: Interval
    adjusted_average_accuracy: Interval | None
    groups: list[Interval | None]


def summarise(measured: Sequence[GroupMetrics], train_counts: NDArray[np.int64] | None = None) -> SeedSummary:
    """Summaries over the seeds of one method, all measured on the same examples and groups.

    Several seeds: 95 % t interval of the mean over seeds, cut to [0, 1]; n = seeds. It says how far another training
    would differ on these very examples. One seed: the interval of the shares themselves, over examples; n = examples.
    A group's accuracy is the mean over seeds with the Wilson interval of that share; n = its examples.

    Args:
        train_counts: int64 (n_groups,), for the adjusted average; None when they are not known.
    Raises:
        ValueError: nothing was measured, or not on the same groups.
    """
    if not measured or any(not np.array_equal(m.n, measured[0].n) for m in measured):
        raise ValueError("Seeds must be measured on the same groups, and there must be at least one.")
    first = measured[0]
    adjusted = [m.adjusted_average_accuracy for m in measured if m.adjusted_average_accuracy is not None]
    if len(measured) > 1:
        return SeedSummary(
            worst_group_accuracy=_over_seeds([m.worst_group_accuracy for m in measured]),
            balanced_accuracy=_over_seeds([m.balanced_accuracy for m in measured]),
            average_accuracy=_over_seeds([m.average_accuracy for m in measured]),
            adjusted_average_accuracy=_over_seeds(adjusted) if adjusted else None,
            groups=_group_shares(measured),
        )
    worst = first.worst_group
    return SeedSummary(
        worst_group_accuracy=wilson(int(first.correct[worst]), int(first.n[worst])),
        balanced_accuracy=weighted_share(first.correct, first.n, (first.n > 0).astype(np.float64)),
        average_accuracy=wilson(int(first.correct.sum()), int(first.n.sum())),
        adjusted_average_accuracy=weighted_share(first.correct, first.n, train_counts.astype(np.float64))
        if adjusted and train_counts is not None
        else None,
        groups=_group_shares(measured),
    )


def weighted_share(correct: NDArray[np.int64], n: NDArray[np.int64], weights: NDArray[np.float64]) -> Interval:
    """Weighted mean of independent shares with its 95 % interval, from the Wilson intervals of the shares.

    Args:
        correct, n: int64 (n_groups,); empty groups are left out.
        weights: float64 (n_groups,), not negative; scaled to sum to 1 over the groups that count.
    Raises:
        ValueError: no group with examples has a weight.
    Source: Zou and Donner (2008), method of variance estimates recovery.
    """
    use = (n > 0) & (weights > 0)
    if not use.any():
        raise ValueError("No group with examples has a weight.")
    w = weights[use] / weights[use].sum()
    shares = [wilson(int(k), int(m)) for k, m in zip(correct[use], n[use], strict=True)]
    value = sum(a * s.value for a, s in zip(w, shares, strict=True))
    below = sqrt(sum((a * (s.value - s.low)) ** 2 for a, s in zip(w, shares, strict=True)))
    above = sqrt(sum((a * (s.high - s.value)) ** 2 for a, s in zip(w, shares, strict=True)))
    return Interval(
        value=float(value), low=max(0.0, float(value - below)), high=min(1.0, float(value + above)), n=int(n[use].sum())
    )


def _over_seeds(values: Sequence[float]) -> Interval:
    found = mean_interval(values)
    return found.model_copy(update={"low": max(0.0, found.low), "high": min(1.0, found.high)})


def _group_shares(measured: Sequence[GroupMetrics]) -> list[Interval | None]:
    correct = np.mean([m.correct for m in measured], axis=0)
    return [mean_share(k, int(n)) if n else None for k, n in zip(correct, measured[0].n, strict=True)]


def mean_share(correct: float, n: int) -> Interval:
    """Wilson's interval around a share whose number of successes is itself a mean (over seeds or checkpoints)."""
    around = wilson(round(correct), n)
    value = correct / n if n else 0.0
    return Interval(value=value, low=min(around.low, value), high=max(around.high, value), n=n)
