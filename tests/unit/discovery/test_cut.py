"""Where a direction is cut: each rule against what it promises, also where there is nothing to cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import norm

from unskew.bench.rules import TINY, Case, compare
from unskew.cut import cut
from unskew.discovery import pseudo_groups
from unskew.errors import SettingsError
from unskew.schemas.enums import CutRule

_values = arrays(np.float64, st.integers(4, 60), elements=st.floats(-5, 5, width=32), unique=True)


@given(_values, st.data())
def test_as_many_lie_above_as_are_wrong(projection: NDArray[np.float64], data: st.DataObject) -> None:
    n_wrong = data.draw(st.integers(1, len(projection) - 1))
    assert (projection > cut(projection, CutRule.ERRORS, n_wrong)).sum() == n_wrong


@given(_values)
def test_the_widest_gap_leaves_both_sides(projection: NDArray[np.float64]) -> None:
    at = cut(projection, CutRule.GAP, 0)
    assert projection.min() < at < projection.max()
    inside = projection[(projection <= at)].max(), projection[projection > at].min()
    assert inside[1] - inside[0] == pytest.approx(np.diff(np.sort(projection)).max(initial=0.0), rel=1e-6)


def test_an_outlier_is_no_group() -> None:
    projection = np.concatenate([np.linspace(0, 1, 60), np.linspace(3, 4, 39), [100.0]])
    assert 1 < cut(projection, CutRule.GAP, 0) < 3


def test_the_mixture_is_cut_where_both_are_as_likely() -> None:
    """Two normal distributions of known widths: the crossing of their densities, weighted by their shares."""
    rng = np.random.default_rng(0)
    projection = np.concatenate([rng.normal(0, 1, 6000), rng.normal(5, 0.5, 2000)])
    between = np.linspace(0, 5, 5001)
    crossing = between[np.argmax(0.25 * norm.pdf(between, 5, 0.5) > 0.75 * norm.pdf(between, 0, 1))]
    assert cut(projection, CutRule.MIXTURE, 0) == pytest.approx(crossing, abs=0.1)


def test_nothing_to_cut() -> None:
    for rule in (CutRule.GAP, CutRule.MIXTURE, CutRule.ERRORS):
        assert not (np.full(30, 2.0) > cut(np.full(30, 2.0), rule, 5)).any()
        assert cut(np.array([1.0, 2.0]), rule, 1) == pytest.approx(1.5)
        assert cut(np.array([1.0]), rule, 1) == 0
    for n_wrong, above in ((0, 1), (30, 29)):
        assert (np.linspace(-1, 1, 30) > cut(np.linspace(-1, 1, 30), CutRule.ERRORS, n_wrong)).sum() == above


def test_a_cut_by_errors_has_to_know_them() -> None:
    label = np.zeros(6, dtype=np.int64)
    projection = np.array([3.0, -1.0, 2.0, 0.5, -2.0, -3.0])
    with pytest.raises(SettingsError, match="not known"):
        pseudo_groups({0: projection}, label, rule=CutRule.ERRORS)
    wrong = np.array([True, False, True, False, False, False])
    assert pseudo_groups({0: projection}, label, rule=CutRule.ERRORS, wrong=wrong).tolist() == [1, 0, 1, 0, 0, 0]


@pytest.mark.slow
def test_rules_are_compared_on_a_set_with_a_planted_bias() -> None:
    """What the benchmark calls true groups and the default both repair the model; as many rows at random do not."""
    found = compare(Case(TINY, 3, 0.95, "skewed"), only_default=True)
    assert found["ERM"] < 0.45 and found["random, as many"] < 0.45
    assert found["true groups"] > found["ERM"] + 0.2 and found["offered first"] > found["ERM"] + 0.2
    assert set(found) == {"ERM", "random, as many", "true groups", "loss alone", "offered first", "error-guided", "PC1"}
