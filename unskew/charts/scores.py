"""Figure of the group alignment T: what hurts the groups that do worst, and where K cuts."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import LINE, Chart, centres, figure
from unskew.charts.theme import GREY, ORANGE, RED
from unskew.schemas.api import Histogram, ScoreSet


def cut(histogram: Histogram, k: int) -> float:
    """The T below which about k training examples lie, read off the histogram (linear inside a bin)."""
    totals: list[int] = [sum(column) for column in zip(*histogram.series.values(), strict=True)]
    before = 0
    for low, high, n, reached in zip(histogram.edges, histogram.edges[1:], totals, accumulate(totals), strict=False):
        if reached >= k and n:
            return low + (high - low) * (k - before) / n
        before = reached
    return histogram.edges[-1]


def root(t: float) -> float:
    """Signed cube root: T's tails are a thousand times longer than its bulk, and this shows both."""
    return math.copysign(abs(t) ** (1 / 3), t)


def ticks(edges: list[float]) -> list[float]:
    """0 and the powers of ten that stand apart on the scale of `root`, on both sides."""
    largest = max(abs(edges[0]), abs(edges[-1]))
    if not largest:
        return [0.0]
    top = math.floor(math.log10(largest))
    found = [sign * 10.0**power for power in (top, top - 1, top - 2) for sign in (-1, 1)]
    return [0.0, *(t for t in found if edges[0] <= t <= edges[-1])]


def alignment(score: ScoreSet, k: int | None = None) -> Chart:
    """T of every training example by class: red below 0, the star's K, and the K chosen now."""
    histogram = score.histogram
    fig = figure(x="group alignment T (cube-root scale)", y="training examples", height=300)
    _bars(fig, histogram)
    shown = ticks(histogram.edges)
    fig.update_xaxes(tickmode="array", tickvals=[root(t) for t in shown], ticktext=[f"{t:g}" for t in shown])
    fig.update_layout(barmode="stack", bargap=0)
    fig.add_vline(x=0, line={"color": LINE, "width": 1.5, "dash": "dot"})
    _star(fig, score)
    if k is not None and 0 < k < score.n_train and k != score.star:
        side = "left" if k < score.star else "right"
        fig.add_vline(
            x=root(cut(histogram, k)),
            line={"color": ORANGE, "width": 2},
            annotation_text=f"K = {fmt.count(k)}",
            annotation_position=f"top {side}",
        )
    share = fmt.percent(score.star / max(1, score.n_train), 0)
    sentence = f"{fmt.count(score.star)} of {fmt.count(score.n_train)} training examples ({share}) have T < 0 (red)."
    return Chart(
        figure=fig,
        alt=f"Histogram of the group alignment T by class. {sentence}",
        table=pd.DataFrame({"from": histogram.edges[:-1], "to": histogram.edges[1:], **histogram.series}),
        caption=f"Below 0: pulls down the groups that do worst. {sentence} "
        "The star is a heuristic: check it against K* on validation.",
    )


def _bars(fig: go.Figure, histogram: Histogram) -> None:
    edges = [root(t) for t in histogram.edges]
    colours = [RED if t < 0 else GREY for t in centres(histogram.edges)]
    ranges = [f"{low:.2g} to {high:.2g}" for low, high in pairwise(histogram.edges)]
    for number, (name, counts) in enumerate(histogram.series.items()):
        pattern = {"shape": ["", "/", "x", "-", "."][number % 5], "fillmode": "overlay", "fgcolor": "#FFFFFF"}
        fig.add_trace(
            go.Bar(
                x=centres(edges),
                y=counts,
                width=[high - low for low, high in pairwise(edges)],
                name=name,
                marker={"color": colours, "pattern": {**pattern, "solidity": 0.2}, "line": {"width": 0}},
                customdata=ranges,
                hovertemplate=f"%{{y}} of {name}, T %{{customdata}}<extra></extra>",
            )
        )


def _star(fig: go.Figure, score: ScoreSet) -> None:
    top = max((sum(column) for column in zip(*score.histogram.series.values(), strict=True)), default=1)
    fig.add_trace(
        go.Scatter(
            x=[0],
            y=[top * 1.12],
            mode="markers+text",
            marker={"symbol": "star", "size": 15, "color": ORANGE, "line": {"width": 0}},
            text=[f" star: K = {fmt.count(score.star)}"],
            textposition="middle right",
            showlegend=False,
            hovertemplate=f"{fmt.count(score.star)} training examples have T < 0<extra></extra>",
            cliponaxis=False,
        )
    )
