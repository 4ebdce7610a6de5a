"""Balancing: the rows that subsampling every group to the smallest would keep (SUBG), and how many it drops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.errors import DataError
from unskew.groups import counts


def balanced_kept(group: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Subsample every non-empty group to the size of the smallest, once and for all.

    Args:
        group: int64 (n_train,); rows in no group (-1) are dropped.
    Returns:
        int64, sorted positions.
    Raises:
        DataError: no row is in a group.
    Source: Idrissi et al. 2022 (SUBG). The subset is fixed, not redrawn each epoch.
    """
    group = np.asarray(group, dtype=np.int64)
    size = _smallest(counts(group, 0))  # as many bins as there are groups
    # A random order, made stable-sorted by group, holds each group's rows in one random run: take the head of each.
    order = np.random.default_rng(seed).permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    of = group[order]
    rank = np.arange(len(of)) - np.searchsorted(of, of, side="left")
    return np.sort(order[(of >= 0) & (rank < size)]).astype(np.int64)


def balancing_drops(group_counts: NDArray[np.int64], n_train: int) -> int:
    """How many of the n_train rows balancing by subsampling would throw away."""
    filled = int((np.asarray(group_counts) > 0).sum())
    return n_train - filled * _smallest(group_counts)


def _smallest(group_counts: NDArray[np.int64]) -> int:
    filled = group_counts[group_counts > 0]
    if filled.size == 0:
        raise DataError("No training example is in a group.", fix="Choose an attribute that is known on training rows.")
    return int(filled.min())
