from __future__ import annotations

from datetime import timedelta

import pytest
from frontend_bodies import NOW, interval

from unskew.charts import format as fmt
from unskew.schemas.api import Interval


def test_shares_carry_n_and_interval() -> None:
    assert fmt.percent(0.4734) == "47.3%"
    assert fmt.percent(float("nan")) == "–"
    assert fmt.interval(Interval(value=0.47, low=0.4, high=0.54, n=1189)) == "47% (40–54, n = 1,189)"
    assert fmt.over_seeds(interval(0.5, 3)) == "50.0% ± 5.0"
    assert fmt.over_seeds(interval(0.5, 1)) == "50.0% (1 seed)"
    assert fmt.points(-0.031) == "-3.1 pts"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.42, "0.4 s"), (38.2, "38 s"), (200, "3 min 20 s"), (180, "3 min"), (7500, "2 h 5 min")],
)
def test_seconds(value: float | None, text: str) -> None:
    assert fmt.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "+0.12"), (-1.5, "-1.50"), (0.0042, "+0.0042"), (2e-5, "+2.0e-05")]
)
def test_signed_values_stay_short(value: float, text: str) -> None:
    assert fmt.signed(value) == text


def test_counts_sizes_and_ages() -> None:
    assert fmt.plural(1, "run") == "1 run"
    assert fmt.plural(1200, "run") == "1,200 runs"
    assert fmt.size(4_200_000) == "4.2 MB"
    assert fmt.ago(NOW, NOW + timedelta(minutes=5)) == "5 min ago"
    assert fmt.ago(NOW.replace(tzinfo=None), NOW + timedelta(days=3)) == "2026-01-02"
