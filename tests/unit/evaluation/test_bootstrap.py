"""The bootstrap of the mean worst-group accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from unskew.evaluation import worst_group_bootstrap


def test_value_is_the_mean_over_seeds_of_the_worst_group() -> None:
    right = np.array([[1, 1, 0, 1, 0, 0], [1, 0, 0, 1, 1, 1]], dtype=bool)
    group = np.array([0, 0, 0, 3, 3, -1])
    found = worst_group_bootstrap(right, group, 4)
    assert found.value == pytest.approx((1 / 2 + 1 / 3) / 2) and found.n == 2
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_coverage_of_one_group_is_that_of_a_binomial() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        found = worst_group_bootstrap(
            rng.random((1, 200)) < 0.7, np.zeros(200, dtype=np.int64), 1, draws=300, seed=trial
        )
        hits += found.low <= 0.7 <= found.high
    assert 0.90 <= hits / 200 <= 0.99


def test_the_order_of_examples_does_not_matter_and_more_of_them_narrow_it() -> None:
    rng = np.random.default_rng(1)
    right, group = rng.random((3, 400)) < 0.8, rng.integers(0, 4, 400)
    order = rng.permutation(400)
    assert worst_group_bootstrap(right, group, 4) == worst_group_bootstrap(right[:, order], group[order], 4)
    few, many = (worst_group_bootstrap(rng.random((3, n)) < 0.8, np.arange(n) % 2, 2) for n in (100, 10_000))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_nobody_in_a_group() -> None:
    with pytest.raises(ValueError, match="No example is in a group"):
        worst_group_bootstrap(np.ones((1, 2), dtype=bool), np.array([-1, -1]), 2)
