"""Accuracies over groups: worst, balanced, plain average and average as in training.

Four different numbers are called "accuracy" in this field; a table that mixes them cannot be reproduced. Here:
    worst_group_accuracy       min over groups
    balanced_accuracy          unweighted mean over groups
    average_accuracy           over all examples, i.e. groups weighted as in this split
    adjusted_average_accuracy  groups weighted as in training (Sagawa et al. 2020)
Groups without an example are left out of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.groups import counts


@dataclass(frozen=True)
class Predictions:
    """What one trained model says about one split, in row order.

    Attributes:
        prediction: int64 (n,), the class of the largest logit.
        loss: float32 (n,), cross-entropy of the true class [nats].
    """

    prediction: NDArray[np.int64]
    loss: NDArray[np.float32]


@dataclass(frozen=True)
class GroupMetrics:
    """Accuracies of one model over one grouping.

    Attributes:
        accuracy: float64 (n_groups,), NaN for an empty group.
        n: int64 (n_groups,), examples of each group.
        correct: int64 (n_groups,), examples that the model has right.
        adjusted_average_accuracy: None when the groups' training counts are not known.
    """

    worst_group_accuracy: float
    balanced_accuracy: float
    average_accuracy: float
    adjusted_average_accuracy: float | None
    accuracy: NDArray[np.float64]
    n: NDArray[np.int64]
    correct: NDArray[np.int64]

    @property
    def worst_group(self) -> int:
        """Number of the group with the lowest accuracy (the first of them)."""
        return int(np.nanargmin(self.accuracy))


def majority_right(prediction: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Is more than half of the checkpoints right? bool (n,), from predictions (n_checkpoints, n)."""
    share: NDArray[np.bool_] = 2 * (prediction == label).sum(axis=0) > len(prediction)
    return share


def group_metrics(
    prediction: NDArray[np.int64],
    label: NDArray[np.int64],
    group: NDArray[np.int64],
    n_groups: int,
    train_counts: NDArray[np.int64] | None = None,
) -> GroupMetrics:
    """Accuracy per group and its four summaries.

    Args:
        prediction, label: int64 (n,).
        group: int64 (n,), label-major; examples in no group (-1) count for no figure, not even for the average.
        n_groups: including empty ones.
        train_counts: int64 (n_groups,), examples of each group in training, for the adjusted average.
    Raises:
        ValueError: lengths differ; no example is in a group; train_counts has another length than n_groups.
    """
    prediction, label, group = (np.asarray(a, dtype=np.int64) for a in (prediction, label, group))
    if not len(prediction) == len(label) == len(group):
        raise ValueError(f"Lengths differ: prediction {len(prediction)}, label {len(label)}, group {len(group)}.")
    n = counts(group, n_groups)
    if len(n) > n_groups:
        raise ValueError(f"group {len(n) - 1} is out of range: there are {n_groups} groups.")
    if not n.any():
        raise ValueError("No example is in a group.")
    correct = counts(np.where(prediction == label, group, -1), n_groups)
    filled = n > 0
    accuracy = np.full(n_groups, np.nan)
    accuracy[filled] = correct[filled] / n[filled]
    return GroupMetrics(
        worst_group_accuracy=float(accuracy[filled].min()),
        balanced_accuracy=float(accuracy[filled].mean()),
        average_accuracy=float(correct.sum() / n.sum()),
        adjusted_average_accuracy=_adjusted(accuracy, filled, train_counts),
        accuracy=accuracy,
        n=n,
        correct=correct,
    )


def _adjusted(
    accuracy: NDArray[np.float64], filled: NDArray[np.bool_], train_counts: NDArray[np.int64] | None
) -> float | None:
    if train_counts is None:
        return None
    weights = np.asarray(train_counts, dtype=np.float64)
    if weights.shape != accuracy.shape:
        raise ValueError(f"train_counts has {len(weights)} entries; there are {len(accuracy)} groups.")
    if weights[filled].sum() == 0:  # none of the groups seen here was seen in training
        return None
    return float(accuracy[filled] @ weights[filled] / weights[filled].sum())


def mean_by_group(values: NDArray[np.floating], group: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """Mean of a value over each group; float64 (n_groups,), NaN for an empty group. Rows in no group do not count."""
    group = np.asarray(group, dtype=np.int64)
    inside = group >= 0
    n = counts(group, n_groups)
    total = np.bincount(group[inside], weights=np.asarray(values, dtype=np.float64)[inside], minlength=n_groups)
    mean = np.full(n_groups, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return mean
