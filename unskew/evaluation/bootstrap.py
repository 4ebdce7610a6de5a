"""A bootstrap interval of the mean worst-group accuracy: over seeds and over examples at once. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.groups import counts
from unskew.schemas.api import Interval

DRAWS = 1000


def worst_group_bootstrap(
    right: NDArray[np.bool_], group: NDArray[np.int64], n_groups: int, *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """95 % percentile interval of the mean over seeds of the worst-group accuracy.

    Each draw takes seeds with replacement and, inside every group, examples with replacement (the same ones for every
    seed: they are the same examples). Examples that the same seeds get right are alike, so that at most 2^n_seeds kinds
    a group are drawn, however many examples there are. The minimum over groups is biased downwards in a draw, most
    where groups are small and equally bad.

    Args:
        right: bool (n_seeds, n), the run is right on the example.
        group: int64 (n,), -1 = in none.
    Returns:
        n = seeds.
    Raises:
        ValueError: no example is in a group, or lengths differ.
    """
    right, group = np.atleast_2d(right), np.asarray(group, dtype=np.int64)
    if right.shape[1] != len(group):
        raise ValueError(f"right has {right.shape[1]} examples and group {len(group)}; they must be equal.")
    filled = np.flatnonzero(counts(group, n_groups) > 0)
    if not len(filled):
        raise ValueError("No example is in a group.")
    rng = np.random.default_rng(seed)
    n_seeds = len(right)
    accuracy = np.empty((len(filled), draws, n_seeds))
    for place, g in enumerate(filled):
        kinds, n = np.unique(right[:, group == g].T, axis=0, return_counts=True)  # (n_kinds, n_seeds)
        drawn = rng.multinomial(int(n.sum()), n / n.sum(), size=draws)  # (draws, n_kinds)
        accuracy[place] = drawn @ kinds.astype(np.float64) / n.sum()
    seeds = rng.integers(0, n_seeds, (draws, n_seeds))
    means = np.take_along_axis(accuracy.min(axis=0), seeds, axis=1).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    value = np.mean([min(right[s, group == g].mean() for g in filled) for s in range(n_seeds)])
    return Interval(value=float(value), low=float(min(low, value)), high=float(max(high, value)), n=n_seeds)
