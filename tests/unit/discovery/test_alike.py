"""Likeness: errors with one cause against errors each with its own; and what tells ends apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from unskew.discovery import evidence, likeness
from unskew.discovery.alike import together
from unskew.schemas.api import Interval
from unskew.schemas.enums import Verdict


def gram(cause: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """200 rows, 30 of them wrong, which share one direction with strength `cause`."""
    rng = np.random.default_rng(seed)
    wrong = np.arange(200) < 30
    r = rng.normal(size=(200, 80))
    r[wrong] += cause * rng.normal(size=80)
    return r @ r.T, wrong


def test_errors_with_one_cause_are_alike_and_others_are_not() -> None:
    shared, none = likeness(*gram(1.0)), likeness(*gram(0.0))
    assert shared is not None and none is not None
    assert shared.low > 1 and abs(none.value) < 0.2 and none.low < 0 < none.high
    assert shared.n == none.n == 30


def test_likeness_by_hand() -> None:
    rng = np.random.default_rng(1)
    r = rng.normal(size=(12, 5))
    wrong = np.arange(12) < 5
    unit = r / np.linalg.norm(r, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosine = centred @ centred.T
    usual = np.sqrt((cosine[~np.eye(12, dtype=bool)] ** 2).mean())
    among = cosine[:5, :5][~np.eye(5, dtype=bool)].mean()
    found = likeness(r @ r.T, wrong)
    assert found is not None and found.value == pytest.approx(among / usual / (1 - 5 / 12) ** 2)


def test_with_too_few_errors_nothing_is_said() -> None:
    matrix, wrong = gram(1.0)
    assert likeness(matrix, np.arange(200) < 4) is None
    assert likeness(matrix, ~wrong | wrong) is None


def test_classes_are_averaged() -> None:
    a, b = Interval(value=0.8, low=0.6, high=1.0, n=20), Interval(value=0.2, low=0.1, high=0.3, n=30)
    found = together({0: a, 1: b, 2: None})
    assert found[0] is not None and found[0].value == pytest.approx(0.5) and found[0].n == 20
    assert found[0].high - found[0].value == pytest.approx(np.hypot(0.2, 0.1) / 2)
    assert found[2] is None and together({0: a, 1: None})[0] == a


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.9, Verdict.STRONG), (0.65, Verdict.POSSIBLE), (0.1, Verdict.NONE), (None, Verdict.POSSIBLE)],
)
def test_the_verdict_needs_a_gap_and_likeness(value: float | None, verdict: Verdict) -> None:
    projection = np.linspace(-1, 1, 400)
    right = np.where(projection > 0.5, np.arange(400) % 4 == 0, True)
    alike = None if value is None else Interval(value=value, low=value - 0.1, high=value + 0.1, n=75)
    found = evidence(projection, right, 1.0 - right, alike=alike, n_looked_at=12)
    assert found.verdict is verdict and found.alike == alike
    even = evidence(projection, np.arange(400) % 2 == 0, np.zeros(400), alike=alike, n_looked_at=12)
    assert even.verdict is Verdict.NONE
