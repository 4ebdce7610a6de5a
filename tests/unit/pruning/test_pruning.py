"""Weights, removal, balance and the choice of K: by hand, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.errors import DataError, SettingsError
from unskew.pruning import (
    balanced_kept,
    balancing_drops,
    choose_k,
    default_grid,
    group_weights,
    heuristic_k,
    kept,
    negative_share,
    random_removed,
    removed,
    search_k,
)
from unskew.schemas.enums import WeightRule

_SCORES = st.lists(st.integers(-3, 3), min_size=2, max_size=40)  # few values: many ties


def test_weights_by_hand() -> None:
    loss, group = np.array([0.2, 0.4, 2.0, 9.0], dtype=np.float32), np.array([0, 0, 1, -1])
    assert group_weights(loss, group, 3, WeightRule.LOSS) == pytest.approx([0.3, 2.0, 0.0])
    assert group_weights(loss, group, 3, WeightRule.EXP_LOSS) == pytest.approx([np.exp(0.3), np.exp(2.0), 0.0])
    assert group_weights(loss, group, 3, WeightRule.UNIFORM).tolist() == [1.0, 1.0, 0.0]
    assert group_weights(loss, group, 3, WeightRule.PAPER_PRINTED) == pytest.approx([np.exp(-0.3), np.exp(-2.0), 0.0])


def test_worse_groups_weigh_more_except_as_printed() -> None:
    loss, group = np.array([0.1, 1.0]), np.array([0, 1])
    for rule in (WeightRule.LOSS, WeightRule.EXP_LOSS):
        well, badly = group_weights(loss, group, 2, rule)
        assert badly > well
    well, badly = group_weights(loss, group, 2, WeightRule.PAPER_PRINTED)
    assert badly < well


def test_weights_refuse_what_they_cannot_use() -> None:
    one = np.array([0.5])
    with pytest.raises(SettingsError, match=r"no weight rule 'sqrt'.*loss, exp_loss"):
        group_weights(one, np.array([0]), 1, "sqrt")
    with pytest.raises(SettingsError, match="No validation example"):
        group_weights(one, np.array([-1]), 1, "loss")
    with pytest.raises(ValueError, match="loss has 1 entries and group 2"):
        group_weights(one, np.array([0, 0]), 1, "loss")
    with pytest.raises(ValueError, match="group 4 is out of range"):
        group_weights(one, np.array([4]), 1, "loss")


@given(_SCORES)
def test_removed_are_the_lowest_and_ties_go_by_position(scores: list[int]) -> None:
    alignment = np.array(scores, dtype=np.float64)
    by_hand = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    for k in range(len(scores)):
        assert removed(alignment, k).tolist() == sorted(by_hand[:k])


@given(_SCORES)
def test_removed_and_kept_are_everything(scores: list[int]) -> None:
    n, k = len(scores), len(scores) // 2
    gone = removed(np.array(scores, dtype=np.float64), k)
    stay = kept(n, gone)
    assert sorted([*gone.tolist(), *stay.tolist()]) == list(range(n))
    assert gone.dtype == stay.dtype == np.int64


def test_star_counts_what_is_below_zero() -> None:
    assert heuristic_k(np.array([-1.0, 0.0, -0.0, 2.0, -1e-9])) == 2


@pytest.mark.parametrize("k", [-1, 3, 4])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(SettingsError, match=f"K = {k} is out of range. With 3 training examples it lies in 0 … 2"):
        removed(np.zeros(3), k)
    with pytest.raises(SettingsError, match="out of range"):
        random_removed(3, k, 0)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 alignment scores"):
        removed(np.array([0.0, np.nan]), 1)


@given(st.integers(2, 200), st.integers(0, 1000))
def test_random_control_is_repeatable_and_nested(n: int, seed: int) -> None:
    half, more = random_removed(n, n // 2, seed), random_removed(n, n - 1, seed)
    assert np.array_equal(half, random_removed(n, n // 2, seed))
    assert len(set(half.tolist())) == n // 2 and set(half.tolist()) <= set(more.tolist())
    assert np.array_equal(half, np.sort(half))


@given(st.integers(2, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_grid_rises_holds_the_star_and_stays_in_range(pair: tuple[int, int]) -> None:
    star, n = pair
    grid = default_grid(star, n)
    assert grid == sorted(set(grid)) and 1 <= len(grid) <= 7
    assert 1 <= grid[0] and grid[-1] <= n - 1
    if star:
        assert star in grid and grid[-1] <= max(star, round(1.1 * star))


def test_grid_of_the_usual_case() -> None:
    assert default_grid(1000, 3000) == [200, 350, 500, 650, 800, 1000, 1100]
    assert max(default_grid(0, 1000)) == 110  # nothing below zero: look near a tenth
    with pytest.raises(SettingsError, match="at least 2"):
        default_grid(0, 1)


def test_choice_of_k() -> None:
    assert choose_k([(0, 0.2, 0.6), (100, 0.5, 0.7), (200, 0.4, 0.8)]) == 100
    assert choose_k([(0, 0.5, 0.6), (100, 0.4, 0.9)]) == 0  # removing nothing can win
    assert choose_k([(0, 0.1, 0.6), (100, 0.5, 0.7), (200, 0.5, 0.8)]) == 200  # then the balanced accuracy
    assert choose_k([(200, 0.5, 0.7), (100, 0.5, 0.7), (0, 0.1, 0.6)]) == 100  # then the smaller K
    with pytest.raises(ValueError, match="K = 0"):
        choose_k([(100, 0.5, 0.7)])


def test_search_retrains_on_what_is_kept() -> None:
    alignment = np.array([3.0, -2.0, 1.0, -1.0, 2.0])
    seen = []

    def evaluate(index: np.ndarray) -> tuple[float, float]:
        seen.append(index.tolist())
        return (1.0 if 1 not in index and 3 in index else 0.0), 0.0

    best, curve = search_k(alignment, evaluate, grid=[2, 1])
    assert best == 1 and [k for k, _, _ in curve] == [0, 1, 2]
    assert seen == [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0, 2, 4]]


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=60).filter(lambda g: max(g) >= 0), st.integers(0, 99))
def test_balanced_subset_has_every_group_equally_often(groups: list[int], seed: int) -> None:
    group = np.array(groups)
    index = balanced_kept(group, seed)
    filled = {g: groups.count(g) for g in set(groups) - {-1}}
    found = {g: int((group[index] == g).sum()) for g in filled}
    assert set(found.values()) == {min(filled.values())}
    assert -1 not in group[index] and np.array_equal(index, np.unique(index))
    counts = np.array([filled.get(g, 0) for g in range(4)])
    assert balancing_drops(counts, len(groups)) == len(groups) - len(index)


def test_balanced_subset_depends_on_the_seed_alone() -> None:
    group = np.repeat([0, 1], [50, 5])
    assert np.array_equal(balanced_kept(group, 1), balanced_kept(group, 1))
    assert not np.array_equal(balanced_kept(group, 1), balanced_kept(group, 2))
    with pytest.raises(DataError, match="No training example is in a group"):
        balanced_kept(np.array([-1, -1]), 0)


def test_the_negative_share_rises_from_nothing_to_all_of_it() -> None:
    order = np.array([-6.0, -3.0, -1.0, 0.0, 5.0])
    assert negative_share(order, np.arange(6)).tolist() == [0.0, 0.6, 0.9, 1.0, 1.0, 1.0]
    assert negative_share(np.array([1.0, 2.0]), np.array([0, 1, 2])).tolist() == [0.0, 0.0, 0.0]
