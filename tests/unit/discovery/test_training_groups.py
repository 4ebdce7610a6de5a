"""Groups of training examples carried over from validation: a planted case, and what may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from unskew.attribution import Attribution, attribute
from unskew.bench.coloured import SIZE, Coloured, coloured_digits
from unskew.bench.many import Fit, fit_many, network
from unskew.discovery import pseudo_groups
from unskew.discovery.training import least_variance_cut, training_groups
from unskew.evaluation import mean_by_group
from unskew.schemas.params import AttributeParams


def planted(seed: int, n_train: int = 600, n_targets: int = 200) -> tuple[Attribution, Any, Any, Any]:
    """τ in which a training example helps targets of its own class and side, minority rows strongly."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n_train)
    minor = rng.random(n_train) < 0.08
    target_label, target_minor = rng.integers(0, 2, n_targets), rng.random(n_targets) < 0.5
    own = label[:, None] == target_label[None]
    same = own & (minor[:, None] == target_minor[None])
    strength = np.where(minor, rng.exponential(20, n_train), rng.exponential(1, n_train))[:, None]
    tau = strength * np.where(same, 1.0, np.where(own, -0.8, 0.0)) + rng.normal(0, 0.5, own.shape)
    loss = np.where(target_minor, 1.5, 0.1) + rng.random(n_targets) * 0.1
    found = Attribution.from_matrix(tau.astype(np.float32), target_loss=loss)
    return found, 2 * target_label + target_minor, label, 2 * label + minor


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("flipped", [False, True])
def test_planted_minority_is_found(seed: int, flipped: bool) -> None:
    scores, group, label, truth = planted(seed)
    if flipped:  # which side is called 1 says nothing
        group, truth = group ^ 1, truth ^ 1
    found = training_groups(scores, group, label, 2)
    minor = 0 if flipped else 1
    said, is_minor = found % 2 == minor, truth % 2 == minor
    assert (found // 2 == label).all()
    assert is_minor[said].mean() > 0.9 and said[is_minor].mean() > 0.5


def test_one_sided_and_empty_classes() -> None:
    scores, group, label, _ = planted(0)
    one_sided = np.where(group == 1, -1, group)
    found = training_groups(scores, one_sided, label, 2)
    assert (found[label == 0] == 0).all() and set(found[label == 1]) == {2, 3}
    nobody = np.where(group < 2, -1, group)
    assert (training_groups(scores, nobody, label, 2)[label == 0] == -1).all()


def test_training_order_does_not_matter() -> None:
    scores, group, label, _ = planted(3)
    order = np.random.default_rng(0).permutation(len(label))
    shuffled = Attribution.from_matrix(scores.tau()[order], target_loss=scores.target_loss)
    one, other = training_groups(scores, group, label, 2), training_groups(shuffled, group, label[order], 2)
    assert np.array_equal(one[order], other)


def reference(seed: int) -> tuple[Attribution, Coloured]:
    """Small coloured digits, skew .95 in both splits, and the scores of four networks."""
    made = coloured_digits(seed, 0.95, 0.95)
    states = fit_many([Fit(made.data.train, s) for s in range(4)], n_classes=2)
    params = AttributeParams(projection_in=8, projection_out=8)
    return attribute(network(SIZE, 2), states, made.data.train, made.data.validation, params=params), made


@pytest.mark.parametrize("seed", [400, 401])
def test_the_minority_of_training_is_found_through_its_own_rows(seed: int) -> None:
    """Discovered groups of validation carried over to training: most of the hidden minority, four times as dense as
    everywhere, and better ranked than by whom each example helps."""
    scores, made = reference(seed)
    target_label, label, minority = made.data.validation.label, made.data.train.label, made.train_minority
    group = pseudo_groups(scores.directions(target_label, label), target_label)
    found = training_groups(scores, group, label, 2)
    loss = mean_by_group(scores.target_loss, group, 4)
    for c in range(2):
        own = label == c
        worse = 2 * c + int(loss[2 * c + 1] > loss[2 * c])
        said = found[own] == worse
        assert said[minority[own]].mean() > 0.6
        assert minority[own][said].mean() > 4 * minority[own].mean()
        sign = np.array([(1.0 if g == worse else -1.0) * (g // 2 == c) for g in range(4)])
        sides = scores.training_sides((sign / np.bincount(group, minlength=4))[group], target_label, label)
        assert sides is not None
        helped = scores.alignment(group, sign)
        assert roc_auc_score(minority[own], sides[own]) > max(0.9, roc_auc_score(minority[own], helped[own]))


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_the_cut_is_the_best_of_all(values: list[float]) -> None:
    ordered = np.sort(values)

    def within(cut: float) -> float:
        sides = [ordered[ordered <= cut], ordered[ordered > cut]]
        return float(sum(((side - side.mean()) ** 2).sum() for side in sides if len(side)))

    best = min(within(cut) for cut in ordered)
    assert within(least_variance_cut(ordered)) <= best + 1e-6 * (1 + best)
