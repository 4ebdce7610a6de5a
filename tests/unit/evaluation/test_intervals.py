"""Intervals against published values, scipy and their defining properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.evaluation import mcnemar, mean_interval, wilson


def test_wilson_against_newcombe_1998() -> None:
    # Newcombe (1998), table I: 81/263, 15/148, 0/20, 1/29 with method 3 (score, no continuity correction)
    for k, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = wilson(k, n)
        assert (round(found.low, 4), round(found.high, 4), found.n) == (low, high, n)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share_and_mirrors(pair: tuple[int, int]) -> None:
    k, n = pair
    found, mirrored = wilson(k, n), wilson(n - k, n)
    assert 0 <= found.low <= found.value <= found.high <= 1 and found.low < found.high
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_wilson_of_nothing_knows_nothing() -> None:
    found = wilson(0, 0)
    assert (found.value, found.low, found.high, found.n) == (0, 0, 1, 0)
    with pytest.raises(ValueError, match="k = 3 must lie in"):
        wilson(3, 2)


def test_mean_interval_by_hand() -> None:
    found = mean_interval([0.1, 0.2, 0.3])
    # t(2, .975) = 4.3027, s = .1, n = 3
    assert (found.value, found.n) == (pytest.approx(0.2), 3)
    assert found.high - found.value == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-6)


def test_mean_interval_of_one_value_is_that_value() -> None:
    found = mean_interval([0.7])
    assert (found.low, found.value, found.high, found.n) == (0.7, 0.7, 0.7, 1)
    for bad in ([], [0.5, float("nan")]):
        with pytest.raises(ValueError, match="at least one finite value"):
            mean_interval(bad)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_agrees_with_the_binomial_test(b: int, c: int) -> None:
    from scipy.stats import binomtest

    p = mcnemar(b, c)
    assert p == mcnemar(c, b)
    assert p == pytest.approx(binomtest(b, b + c, 0.5).pvalue if b + c else 1.0, rel=1e-9)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="b = -1"):
        mcnemar(-1, 2)
