"""Colours can be read on both backgrounds, and figures and Streamlit's theme use the same ones."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import frontend
from unskew.charts import theme

CONFIG = tomllib.loads((Path(frontend.__file__).parent / ".streamlit" / "config.toml").read_text())


def luminance(colour: str) -> float:
    """WCAG 2 relative luminance of #RRGGBB."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marks_are_visible_and_text_is_readable(mode: str) -> None:
    background = CONFIG["theme"][mode]["backgroundColor"]
    assert background == theme.BACKGROUNDS[mode]
    for colour in theme.GROUP_COLOURS:
        assert contrast(colour, background) >= 3, colour
    assert contrast(CONFIG["theme"][mode]["textColor"], background) >= 7
    for name in ("linkColor", "redColor", "orangeColor", "greenColor", "blueColor", "grayColor"):
        assert contrast(CONFIG["theme"][mode][name], background) >= 4.5, name


def test_white_labels_on_the_accent_can_be_read() -> None:
    for mode in ("light", "dark"):
        assert contrast(CONFIG["theme"][mode]["primaryColor"], "#FFFFFF") >= 4.5


def test_figures_and_theme_agree() -> None:
    assert CONFIG["theme"]["chartCategoricalColors"] == list(theme.GROUP_COLOURS)
    assert len(CONFIG["theme"]["chartDivergingColors"]) == len(CONFIG["theme"]["chartSequentialColors"]) == 10


def test_no_telemetry_and_no_developer_menu() -> None:
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["toolbarMode"] == "viewer"
