"""Methods over their seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.evaluation import group_metrics, mean_interval, wilson
from unskew.evaluation.seeds import mean_share, summarise, weighted_share

LABEL = np.array([0, 0, 0, 0, 1, 1, 1, 1])
GROUP = np.array([0, 0, 1, 1, 2, 2, 2, 2])
SEEDS = ([0, 0, 0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 1, 1, 1])
TRAIN = np.array([10, 0, 30, 5])


def measured(n: int) -> list:
    return [group_metrics(np.array(said), LABEL, GROUP, 4, TRAIN) for said in SEEDS[:n]]


def test_two_seeds_by_hand() -> None:
    found = summarise(measured(2), TRAIN)
    assert found.worst_group_accuracy.value == 0.5 and found.worst_group_accuracy.n == 2
    assert found.balanced_accuracy == mean_interval([(1 + 0.5 + 0.75) / 3, (0.5 + 1 + 1) / 3]).model_copy(
        update={"high": 1.0, "low": found.balanced_accuracy.low}
    )
    assert found.groups[3] is None
    assert found.groups[2] is not None and found.groups[2].value == 0.875 and found.groups[2].n == 4
    assert found.adjusted_average_accuracy is not None
    assert found.adjusted_average_accuracy.value == pytest.approx(((10 + 22.5) / 40 + (5 + 30) / 40) / 2)


def test_one_seed_has_intervals_over_examples() -> None:
    found = summarise(measured(1), TRAIN)
    assert found.worst_group_accuracy == wilson(1, 2) and found.average_accuracy == wilson(6, 8)
    assert found.balanced_accuracy.value == pytest.approx(0.75) and found.balanced_accuracy.n == 8
    assert found.balanced_accuracy.low < 0.75 < found.balanced_accuracy.high


def test_without_training_counts_there_is_no_adjusted_average() -> None:
    bare = [group_metrics(np.array(said), LABEL, GROUP, 4) for said in SEEDS]
    assert summarise(bare).adjusted_average_accuracy is None


def test_seeds_on_other_groups_are_refused() -> None:
    other = group_metrics(np.array(SEEDS[0]), LABEL, np.zeros(8, dtype=int), 4)
    with pytest.raises(ValueError, match="same groups"):
        summarise([*measured(1), other])
    with pytest.raises(ValueError, match="at least one"):
        summarise([])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_a_weighted_share_lies_in_its_interval(pairs: list[tuple[int, int]]) -> None:
    n = np.array([a + b for a, b in pairs])
    correct = np.array([a for a, _ in pairs])
    weights = np.ones(len(pairs))
    if not n.any():
        with pytest.raises(ValueError, match="No group"):
            weighted_share(correct, n, weights)
        return
    found = weighted_share(correct, n, weights)
    assert 0 <= found.low <= found.value + 1e-12 and found.value - 1e-12 <= found.high <= 1
    assert found.value == pytest.approx((correct[n > 0] / n[n > 0]).mean())


def test_a_weighted_share_of_one_group_is_its_wilson_interval() -> None:
    found = weighted_share(np.array([7]), np.array([9]), np.array([3.0]))
    expected = wilson(7, 9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@given(st.integers(1, 200), st.floats(0, 1))
def test_a_mean_share_lies_in_its_interval(n: int, share: float) -> None:
    found = mean_share(share * n, n)
    assert found.low <= found.value <= found.high and found.value == pytest.approx(share)
