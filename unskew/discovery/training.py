"""Pseudo-groups of the training examples, from those of the validation examples. numpy only.

Methods such as SUBG or GroupDRO need the group of every training example. Discovery says it of validation examples;
attribution carries it over.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unskew.evaluation import mean_by_group


class Scores(Protocol):
    """What is asked of an `Attribution`."""

    @property
    def target_loss(self) -> NDArray[np.float32]: ...
    @property
    def expected_error(self) -> NDArray[np.float64] | None: ...
    def training_sides(
        self, target_weight: NDArray[np.float64], target_label: NDArray[np.int64], train_label: NDArray[np.int64]
    ) -> NDArray[np.float64] | None: ...
    def alignment(self, groups: NDArray[np.int64], weights: NDArray[np.floating]) -> NDArray[np.float64]: ...


def training_groups(
    scores: Scores, group: NDArray[np.int64], train_label: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Carry two pseudo-groups a class over to the training examples.

    Of a training example of class c is asked how far it is, as a target, like the side of c that the model serves worse
    (`Attribution.training_sides`). As many go to that side as a model that half of the data is missing to is expected
    to get wrong, those that are most like it, one at least.

    Where scores cannot say this (a matrix of someone else's, weights other than "auto"), by whom it helps: d = mean τ
    on the worse side minus mean τ on the other, parted where the variance of sign(d) √|d| within the sides is least
    (Otsu), at 0 or above. Measured in docs/decisions/0014-training-examples-as-targets.md.

    Args:
        group: int64 (n_targets,), 2 · label + bit; -1 = in none.
        train_label: int64 (n_train,).
    Returns:
        int64 (n_train,), numbered alike; a class with one side only has all its training examples there, one without
        any validation example in a group has none (-1).
    """
    loss = mean_by_group(scores.target_loss, group, 2 * n_classes)  # NaN for an empty group
    found = np.full(len(train_label), -1, dtype=np.int64)
    pairs: dict[int, tuple[int, int]] = {}
    for label in range(n_classes):
        filled = [g for g in (2 * label, 2 * label + 1) if not np.isnan(loss[g])]
        if filled:
            worse = max(filled, key=lambda g: loss[g])
            better = filled[0] if worse == filled[-1] else filled[-1]
            found[train_label == label] = better
            if worse != better:
                pairs[label] = worse, better
    if not pairs:
        return found
    by_group = np.zeros(2 * n_classes)
    for worse, better in pairs.values():
        by_group[[worse, better]] = 1.0, -1.0
    size = np.bincount(group[group >= 0], minlength=2 * n_classes)
    weight = np.where(group >= 0, (by_group / np.maximum(size, 1))[group], 0.0)
    sides, error = scores.training_sides(weight, np.maximum(group, 0) // 2, train_label), scores.expected_error
    for label, (worse, _) in pairs.items():
        own = np.flatnonzero(train_label == label)
        if sides is None or error is None:
            found[own[_helped_more(scores, group, pairs[label], own)]] = worse
        else:
            n = max(1, int((error[own] > 0.5).sum()))
            found[own[np.argsort(-sides[own], kind="stable")[:n]]] = worse
    return found


def _helped_more(
    scores: Scores, group: NDArray[np.int64], pair: tuple[int, int], own: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each of some training examples helps the first group of a pair clearly more than the second."""
    weights = np.zeros(int(group.max()) + 1)
    weights[list(pair)] = 1.0, -1.0
    difference = scores.alignment(group, weights)[own]
    difference = np.sign(difference) * np.sqrt(np.abs(difference))
    return np.asarray(difference > max(0.0, least_variance_cut(difference)))


def least_variance_cut(values: NDArray[np.float64]) -> float:
    """The value above which a second cluster begins: the cut with the least variance on both sides (Otsu 1979)."""
    ordered = np.sort(values)
    n = len(ordered)
    if n < 2:
        return float(ordered[-1]) if n else 0.0
    total = np.cumsum(ordered)
    k = np.arange(1, n)
    between = k * (n - k) * (total[:-1] / k - (total[-1] - total[:-1]) / (n - k)) ** 2
    return float(ordered[np.argmax(between)])
