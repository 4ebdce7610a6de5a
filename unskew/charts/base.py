"""What every figure shares: the `Chart` that a page shows, and one calm layout."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go


@dataclass(frozen=True)
class Chart:
    """A figure with what makes it readable without the figure."""

    figure: go.Figure
    alt: str  # the takeaway in one sentence, for screen readers
    table: pd.DataFrame  # every number of the figure
    caption: str = ""  # n, intervals, what to look for


GRID = "rgba(127, 135, 145, 0.18)"  # readable on the light and on the dark background
LINE = "rgba(127, 135, 145, 0.55)"


def figure(*, x: str, y: str, height: int = 260, percent_y: bool = False, percent_x: bool = False) -> go.Figure:
    """An empty figure with axis titles; fonts and text colours come from the app's theme."""
    fig = go.Figure()
    fig.update_layout(
        height=height,
        margin={"l": 4, "r": 8, "t": 4, "b": 4},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None, "traceorder": "normal"},
        bargap=0.04,
        hoverlabel={"namelength": -1},
        dragmode=False,
    )
    fig.update_xaxes(title={"text": x, "standoff": 6}, showgrid=False, zeroline=False, automargin=True)
    fig.update_yaxes(title={"text": y, "standoff": 6}, gridcolor=GRID, zeroline=False, automargin=True)
    if percent_y:
        fig.update_yaxes(tickformat=".0%")
    if percent_x:
        fig.update_xaxes(tickformat=".0%")
    return fig


def centres(edges: list[float]) -> list[float]:
    """Middles of the bins; n + 1 edges → n."""
    return [(low + high) / 2 for low, high in pairwise(edges)]


def error_bar(value: list[float], low: list[float], high: list[float], *, thickness: float = 1.4) -> dict[str, object]:
    """Whiskers from each value to its interval, as Plotly wants them."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, h - v) for v, h in zip(value, high, strict=True)],
        "arrayminus": [max(0.0, v - lo) for v, lo in zip(value, low, strict=True)],
        "thickness": thickness,
        "width": 3,
    }
