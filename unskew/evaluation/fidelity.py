"""Fidelity of attributions: the linear datamodelling score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
    from scipy.stats import rankdata  # here, so that importing this room stays cheap

    predicted = rankdata(subsets.astype(np.float64) @ tau.astype(np.float64), axis=0)  # (n_subsets, n_targets)
    measured = rankdata(margins, axis=0)
    predicted -= predicted.mean(axis=0)
    measured -= measured.mean(axis=0)
    scale = np.sqrt((predicted**2).sum(axis=0) * (measured**2).sum(axis=0))
    product = (predicted * measured).sum(axis=0)
    correlation = np.full(len(scale), np.nan)
    np.divide(product, scale, out=correlation, where=scale > 0)
    return correlation
