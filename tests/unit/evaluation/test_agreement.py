"""Cohen's kappa against scikit-learn, its edges, and how many labels are enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from unskew.evaluation import kappa, more_needed, wilson


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = kappa(first, second)
    if found is None:
        assert len(set(first) | set(second)) == 1
        return
    assert found.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert found.low <= found.value <= found.high


def test_kappa_is_one_for_full_agreement_and_undefined_without_examples() -> None:
    same = np.array([0, 1, 0, 1])
    found = kappa(same, same)
    assert found is not None and (found.value, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 4)
    assert kappa(np.array([], dtype=int), np.array([], dtype=int)) is None


def test_kappa_of_cohens_textbook_table() -> None:
    """50 proposals, both yes 20, both no 15, one yes 5, other yes 10: kappa 0.4."""
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = kappa(first, second)
    assert found is not None and found.value == pytest.approx(0.4)


def test_enough_means_ten_points_either_way() -> None:
    assert more_needed(wilson(0, 0)) == 97  # 0.25 (1.96 / 0.1)²
    assert more_needed(wilson(50, 100)) == 0
    assert more_needed(wilson(10, 10)) == 36  # nothing wrong seen yet in ten says little
    for n in (100, 200):
        share = wilson(n // 2, n)
        assert share.high - share.low < 0.2 and more_needed(share) == 0
