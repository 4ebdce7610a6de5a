"""Group accuracies by hand, and the identities between their summaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.evaluation import group_metrics, lds, mean_by_group

_EXAMPLES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(-1, 3)), min_size=1).filter(
    lambda rows: any(group >= 0 for _, _, group in rows)
)


def test_four_accuracies_by_hand() -> None:
    #                  group 0: 3 of 4       group 2: 1 of 2, group 1 is empty, one example is in no group
    prediction = np.array([0, 0, 0, 1, 1, 0, 0])
    label = np.array([0, 0, 0, 0, 1, 1, 1])
    group = np.array([0, 0, 0, 0, 2, 2, -1])
    found = group_metrics(prediction, label, group, 3, train_counts=np.array([10, 5, 90]))
    assert found.accuracy[[0, 2]].tolist() == [0.75, 0.5] and np.isnan(found.accuracy[1])
    assert found.n.tolist() == [4, 0, 2] and found.correct.tolist() == [3, 0, 1]
    assert found.worst_group_accuracy == 0.5 and found.worst_group == 2
    assert found.balanced_accuracy == 0.625
    assert found.average_accuracy == pytest.approx(4 / 6)
    assert found.adjusted_average_accuracy == pytest.approx((10 * 0.75 + 90 * 0.5) / 100)


@given(_EXAMPLES)
def test_worst_is_below_every_average(rows: list[tuple[int, int, int]]) -> None:
    prediction, label, group = np.array(rows).T
    found = group_metrics(prediction, label, group, 4, train_counts=np.array([1, 2, 3, 4]))
    for average in (found.balanced_accuracy, found.average_accuracy, found.adjusted_average_accuracy):
        assert average is not None and found.worst_group_accuracy <= average + 1e-12


@given(_EXAMPLES)
def test_order_of_examples_does_not_matter(rows: list[tuple[int, int, int]]) -> None:
    prediction, label, group = np.array(rows).T
    shuffled = np.random.default_rng(0).permutation(len(rows))
    one = group_metrics(prediction, label, group, 4)
    other = group_metrics(prediction[shuffled], label[shuffled], group[shuffled], 4)
    assert one.worst_group_accuracy == other.worst_group_accuracy
    assert np.array_equal(one.accuracy, other.accuracy, equal_nan=True)


def test_adjusting_by_this_splits_own_counts_gives_the_plain_average() -> None:
    rng = np.random.default_rng(0)
    prediction, label, group = rng.integers(0, 2, 100), rng.integers(0, 2, 100), rng.integers(0, 4, 100)
    found = group_metrics(prediction, label, group, 4, train_counts=np.bincount(group, minlength=4))
    assert found.adjusted_average_accuracy == pytest.approx(found.average_accuracy)


def test_adjusted_average_is_unknown_without_training_counts() -> None:
    one = np.array([0])
    assert group_metrics(one, one, one, 1).adjusted_average_accuracy is None
    assert group_metrics(one, one, one, 2, train_counts=np.array([0, 7])).adjusted_average_accuracy is None


def test_impossible_input_is_refused() -> None:
    one = np.array([0])
    with pytest.raises(ValueError, match="Lengths differ: prediction 1, label 2"):
        group_metrics(one, np.array([0, 1]), one, 1)
    with pytest.raises(ValueError, match="No example is in a group"):
        group_metrics(one, one, np.array([-1]), 1)
    with pytest.raises(ValueError, match="group 3 is out of range"):
        group_metrics(one, one, np.array([3]), 2)
    with pytest.raises(ValueError, match="train_counts has 1 entries"):
        group_metrics(one, one, one, 2, train_counts=np.array([1]))


def test_mean_by_group_leaves_out_the_unassigned() -> None:
    found = mean_by_group(np.array([1.0, 3.0, 100.0], dtype=np.float32), np.array([0, 0, -1]), 2)
    assert found[0] == 2.0 and np.isnan(found[1])


def test_lds_of_four_examples_by_hand() -> None:
    tau = np.array([[1.0, -1.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    subsets = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    margins = np.array([[0.1, 5.0], [0.2, 6.0], [0.9, 6.5]])
    # Target 0: sums 3, 5, 7 rise with the margins. Target 1: sums -1, 0, 0 (a tie) against 5, 6, 6.5.
    assert lds(tau, subsets, margins) == pytest.approx([1.0, np.sqrt(3) / 2])
    assert np.isnan(lds(np.zeros((4, 2)), subsets, margins)).all()
    with pytest.raises(ValueError, match="Shapes do not fit"):
        lds(tau, subsets[:, :2], margins)


@given(st.integers(0, 2**32 - 1))
def test_lds_agrees_with_scipy(seed: int) -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    tau, subsets, margins = rng.normal(size=(8, 3)), rng.random((6, 8)) < 0.5, rng.normal(size=(6, 3))
    found = lds(tau, subsets, margins)
    for j in range(3):
        sums = subsets @ tau[:, j]
        if len(np.unique(sums)) > 1:
            assert found[j] == pytest.approx(spearmanr(sums, margins[:, j]).statistic, abs=1e-9)
