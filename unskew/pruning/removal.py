"""Which training rows a rule removes. Positions are within the training split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError


def heuristic_k(alignment: NDArray[np.floating]) -> int:
    """The star: K = #{T < 0}, the rows that work against the groups doing worst. It can remove too many."""
    return int((np.asarray(alignment) < 0).sum())


def removed(alignment: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """The k rows with the lowest T.

    Args:
        alignment: (n_train,) finite.
        k: 0 … n_train - 1.
    Returns:
        int64 (k,), sorted. Ties go to the smaller position, so that the sets for growing k are nested.
    Raises:
        SettingsError: k is out of range.
        ValueError: alignment is not finite.
    """
    alignment = np.asarray(alignment)
    if not np.isfinite(alignment).all():
        raise ValueError(f"{int((~np.isfinite(alignment)).sum())} of {len(alignment)} alignment scores are not finite.")
    _check_k(k, len(alignment))
    return np.sort(np.argsort(alignment, kind="stable")[:k]).astype(np.int64)


def negative_share(alignment: NDArray[np.floating], ks: NDArray[np.int64]) -> NDArray[np.float64]:
    """How concentrated the harm is: the share of Σ |T| over T < 0 that the k lowest rows hold.

    Args:
        alignment: (n,) by rising T; rows from the first T ≥ 0 on add nothing.
        ks: int64 (m,), 0 … n.
    Returns:
        float64 (m,) in 0 … 1; all 0 where no T is negative.
    """
    mass = np.concatenate([[0.0], np.cumsum(-np.minimum(np.asarray(alignment, dtype=np.float64), 0.0))])
    held: NDArray[np.float64] = mass[ks] / (mass[-1] or 1.0)
    return held


def random_removed(n: int, k: int, seed: int) -> NDArray[np.int64]:
    """The control: k of n rows at random; int64 (k,), sorted. For one seed the sets for growing k are nested.

    Raises:
        SettingsError: k is out of range.
    """
    _check_k(k, n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:k]).astype(np.int64)


def kept(n: int, removed_index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of 0 … n - 1 that stay; int64, sorted."""
    mask = np.ones(n, dtype=bool)
    mask[np.asarray(removed_index, dtype=np.int64)] = False
    return np.flatnonzero(mask).astype(np.int64)


def _check_k(k: int, n: int) -> None:
    if not 0 <= k < n:
        raise SettingsError(f"K = {k} is out of range.", fix=f"With {n} training examples it lies in 0 … {n - 1}.")
