"""The measurements themselves: they run to their end, and count right. How fast is for `unskew bench ui` and `api`."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_house import PROJECT, House

from backend.bench.api import bench_api
from backend.bench.ui import bench_ui


@pytest.mark.slow
@pytest.mark.browser
def test_every_screen_is_timed_and_every_label_is_written(house: House, tmp_path: Path) -> None:
    found = bench_ui(house.store, PROJECT, [2400], visits=5, points=400, repeats=2, scratch=tmp_path / "tiled")
    bars = {bar["name"]: bar for bar in found["bars"]}
    assert {bar["images"] for bar in found["bars"]} == {2400, bars["scatter: lasso to grid"]["images"]}
    assert (bars["key to next image"]["n"], bars["labels lost or doubled"]["value"]) == (200, 0)
    for name in ("first grid, Browse", "page turn, Browse", "page turn, Label", "Discover", "next direction"):
        assert bars[name]["n"] >= 1 and 0 < bars[name]["p50"] <= bars[name]["value"] <= bars[name]["largest"], name
    assert bars["scatter: points"]["value"] >= 400
    assert found["met"] == all(bar["met"] for bar in found["bars"])


@pytest.mark.slow
def test_every_kind_of_request_is_timed(house: House, tmp_path: Path) -> None:
    found = bench_api(house.store, PROJECT, 2400, repeats=3, scratch=tmp_path / "tiled")
    promised = {bar["name"] for bar in found["bars"] if bar["limit"] is not None}
    assert {"extremes: 4 strips of 24", "page of 96 as stored"} <= promised
    assert all(bar["images"] == 2400 and bar["value"] > 0 for bar in found["bars"])
