"""Tables of the command line in a terminal of 80 columns: no word is cut, whatever else gives way."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from backend.cli import context
from unskew.charts.theme import method_name
from unskew.schemas.enums import Method

LEAGUE = ["labels", "method", "left\nout", "worst\ngroup", "s.d.", "95 %", "balanced", "average", "adjusted", "n"]


def shown(columns: list[str], rows: list[list[str]], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(context.out, "_width", width)
    console = Console(width=width, file=io.StringIO())
    console.print(context.table("test, groups: background", columns, rows, sections=[0]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_a_league_fits_with_every_method_and_figure_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = (Method.AUTO_GROUP_DRO, Method.RANDOM_K, Method.LOSS_TRAK)
    rows = [
        ["validation groups", method_name(m), "12788", "79.0", "10.9", "74.2–82.4", "82.5", "82.5", "83.3", "5"]
        for m in methods
    ]
    lines = shown(LEAGUE, rows, width, monkeypatch)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for word in ("validation", "balanced", "adjusted", "74.2–82.4", "12788", *map(method_name, methods)):
        assert word in text


def test_a_comparison_keeps_its_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["method", "labels used", "removed", "worst group", "balanced", "average", "seeds"]
    value = "63.1 (20.1–100.0)"
    text = "\n".join(
        shown(columns, [["auto_group_dro", "validation groups", "12788", value, value, value, "5"]], 80, monkeypatch)
    )
    assert "…" not in text and "auto_group_dro" in text and text.count("(20.1–100.0)") == 3


def test_a_table_without_rows_or_with_room_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("name" in line for line in shown(["project", "name"], [], 80, monkeypatch))
    (row,) = (line for line in shown(["a", "b"], [["one", "two"]], 80, monkeypatch) if "one" in line)
    assert row.rstrip() == " one │ two"
