"""Subpopulations: the table by hand, the random null, and the rows that excluding removes."""

from __future__ import annotations

import numpy as np
import pytest

from unskew.errors import SettingsError
from unskew.pruning import members, subpopulations

LABEL = np.array([0, 0, 0, 0, 1, 1, 1])
HAIR = np.array(["grey", "grey", "dark", "dark", "grey", "dark", ""])
T = np.array([-3.0, -1.0, 2.0, 4.0, 1.0, -1.0, 5.0])


def test_mean_of_every_class_and_value_the_most_harmful_first() -> None:
    found = subpopulations(T, LABEL, {"hair": HAIR}, smallest=1)
    assert [(s.label, s.value, s.n, s.mean.value, s.below_zero) for s in found] == [
        (0, "grey", 2, -2.0, 1.0),
        (1, "dark", 1, -1.0, 1.0),
        (1, "grey", 1, 1.0, 0.0),
        (0, "dark", 2, 3.0, 0.0),
    ]
    assert all(s.attribute == "hair" for s in found)
    assert [s.n for s in subpopulations(T, LABEL, {"hair": HAIR})] == [2, 2], "one example is no population"


def test_a_random_subset_lies_within_a_few_standard_errors() -> None:
    rng = np.random.default_rng(0)
    label, alignment = np.zeros(1000, dtype=np.int64), rng.standard_exponential(1000)
    scores = []
    for _ in range(200):
        value = np.where(np.isin(np.arange(1000), rng.permutation(1000)[:600]), "in", "out")
        scores.append(
            next(s.standard_errors for s in subpopulations(alignment, label, {"a": value}) if s.value == "in")
        )
    assert abs(np.mean(scores)) < 0.25 and 0.85 < np.std(scores) < 1.15
    planted = np.where(alignment < 0.2, "low", "rest")
    assert subpopulations(alignment, label, {"a": planted})[0].standard_errors < -5


def test_a_value_that_the_whole_class_has_says_nothing() -> None:
    (only,) = subpopulations(np.array([1.0, 2.0]), np.zeros(2, dtype=np.int64), {"a": np.array(["x", "x"])})
    assert only.standard_errors == 0.0


def test_members_of_several_subpopulations_once_each() -> None:
    attributes = {"hair": HAIR, "all": np.full(7, "x")}
    assert members([(0, "hair", "grey"), (1, "hair", "dark"), (0, "hair", "grey")], LABEL, attributes).tolist() == [
        0,
        1,
        5,
    ]
    with pytest.raises(SettingsError, match="no attribute 'age'"):
        members([(0, "age", "x")], LABEL, attributes)
    with pytest.raises(SettingsError, match="has hair = 'blue'"):
        members([(0, "hair", "blue")], LABEL, attributes)
    with pytest.raises(SettingsError, match="Every training example"):
        members([(0, "all", "x"), (1, "all", "x")], LABEL, attributes)
    with pytest.raises(SettingsError, match="No subpopulation is excluded"):
        members([], LABEL, attributes)
