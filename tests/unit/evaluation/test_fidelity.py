"""LDS by hand, against scipy target by target, and the interval of its mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from unskew.evaluation import half_subsets, lds, lds_advantage, mean_lds


def case(noise: float, m: int = 24, n: int = 60, targets: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, subsets, and margins that are their sums and noise."""
    rng = np.random.default_rng(0)
    tau, subsets = rng.normal(size=(n, targets)), half_subsets(n, m, seed=1)
    return tau, subsets, subsets @ tau + noise * rng.normal(size=(m, targets))


def test_the_published_tiny_case() -> None:
    """Three subsets of four examples, two targets: the correlations that dattri's own test of its lds states."""
    tau = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 4.0], [4.0, 4.0]])
    subsets = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    margins = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]])
    np.testing.assert_allclose(lds(tau, subsets, margins), [1.0, 0.8660254], atol=1e-6)


def test_the_same_number_as_dattri() -> None:
    """Against what dattri 0.3.0 itself returned for scores and margins drawn at random, with ties.

    Made by `dattri.metric.lds(tau, (margins, trained_on))` on float64 tensors; input and output are in the file.
    """
    case = json.loads((Path(__file__).parent / "dattri_lds.json").read_text())
    tau, margins = np.array(case["tau"]), np.array(case["margins"])
    subsets = np.zeros((len(margins), len(tau)), dtype=bool)
    np.put_along_axis(subsets, np.array(case["trained_on"]), True, axis=1)
    np.testing.assert_allclose(lds(tau, subsets, margins), case["lds"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 3.0, 30.0])
def test_the_same_number_as_scipy_target_by_target(noise: float) -> None:
    tau, subsets, margins = case(noise)
    sums = np.array([[tau[row, z].sum() for z in range(tau.shape[1])] for row in subsets])
    expected = [spearmanr(sums[:, z], margins[:, z]).statistic for z in range(tau.shape[1])]
    np.testing.assert_allclose(lds(tau, subsets, margins), expected, atol=1e-6)


def test_ties_count_as_scipy_counts_them() -> None:
    tau, subsets, margins = case(3.0)
    margins = np.round(margins / 4)
    expected = [spearmanr(subsets @ tau[:, z], margins[:, z]).statistic for z in range(tau.shape[1])]
    np.testing.assert_allclose(lds(tau, subsets, margins), expected, atol=1e-6)


def test_a_constant_target_has_no_lds_and_is_left_out_of_the_mean() -> None:
    tau, subsets, margins = case(3.0)
    margins[:, 0] = 1.0
    found = lds(tau, subsets, margins)
    mean = mean_lds(subsets @ tau, margins)
    assert np.isnan(found[0]) and mean.n == 19
    assert mean.value == pytest.approx(np.nanmean(found))


def test_halves_are_halves_and_the_first_do_not_depend_on_how_many() -> None:
    few, many = half_subsets(11, 3, seed=5), half_subsets(11, 8, seed=5)
    assert np.array_equal(few, many[:3]) and (many.sum(axis=1) == 5).all()
    assert len(np.unique(many, axis=0)) == 8
    assert not np.array_equal(few, half_subsets(11, 3, seed=6))


def test_the_interval_covers_the_mean_and_narrows_with_subsets() -> None:
    width = {}
    for m in (12, 120):
        tau, subsets, margins = case(10.0, m=m)
        mean = mean_lds(subsets @ tau, margins)
        assert mean.low < mean.value < mean.high
        width[m] = mean.high - mean.low
    assert width[120] < 0.6 * width[12]


def test_noise_scores_nothing() -> None:
    tau, subsets, margins = case(3.0, m=60)
    other = np.random.default_rng(9).normal(size=tau.shape)
    mean = mean_lds(subsets @ other, margins)
    assert abs(mean.value) < 0.15 < mean_lds(subsets @ tau, margins).low


def test_the_advantage_is_the_difference_of_the_means_and_surer_than_either() -> None:
    tau, subsets, margins = case(10.0, m=40)
    rng = np.random.default_rng(3)
    ours, theirs = (subsets @ (tau + scale * rng.normal(size=tau.shape)) for scale in (0.0, 0.5))
    a, b = mean_lds(ours, margins), mean_lds(theirs, margins)
    lead = lds_advantage(ours, theirs, margins)
    assert lead.value == pytest.approx(a.value - b.value) and lead.low < lead.value < lead.high
    assert lead.high - lead.low < (a.high - a.low) + (b.high - b.low)
    assert lds_advantage(ours, theirs, margins, times=3).value == pytest.approx(a.value - 3 * b.value)
    assert lds_advantage(ours, ours, margins).low == lds_advantage(ours, ours, margins).high == 0
