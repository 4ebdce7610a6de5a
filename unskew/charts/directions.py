"""Figures of one direction: the scree of its class, and its projections by right and wrong."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import LINE, Chart, centres, figure
from unskew.charts.theme import BLUE, GREY, RIGHT, WRONG, group_colour
from unskew.schemas.api import Direction, DirectionDetail, Histogram, Scatter


def scree(detail: DirectionDetail) -> Chart:
    """Share of the variance of the class's block that each direction explains; the chosen one stands out."""
    shares = detail.scree
    names = [f"PC{i + 1}" for i in range(len(shares))]
    fig = figure(x="direction", y="share of variance", height=230, percent_y=True)
    fig.add_trace(
        go.Bar(
            x=names,
            y=shares,
            marker={"color": [BLUE if name == detail.title else GREY for name in names]},
            opacity=0.9,
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
            showlegend=False,
        )
    )
    fig.update_layout(bargap=0.25)
    fig.update_xaxes(type="category", tickangle=0, nticks=12)
    first = fmt.percent(shares[0]) if shares else "–"
    chosen = fmt.percent(detail.share)
    shown = detail.title
    return Chart(
        figure=fig,
        alt=f"Scree of {detail.label_name}: PC1 explains {first} of the variance; {shown}, shown here, {chosen}.",
        table=pd.DataFrame({"direction": names, "share of variance": shares}),
        caption=f"{shown} explains {chosen} of this class's attribution. A step down after it: it stands apart.",
    )


def projections(histogram: Histogram, *, ends: tuple[str, str] = ("− end", "+ end")) -> Chart:
    """Projections on one direction, stacked by right and wrong (or by group); the split is at 0."""
    middle = centres(histogram.edges)
    widths = [high - low for low, high in zip(histogram.edges, histogram.edges[1:], strict=False)]
    fig = figure(x="projection on the direction", y="validation examples", height=230)
    colours = {"right": RIGHT, "wrong": WRONG}
    for number, (name, counts) in enumerate(histogram.series.items()):
        fig.add_trace(
            go.Bar(
                x=middle,
                y=counts,
                width=widths,
                name=name,
                marker={
                    "color": colours.get(name, group_colour(number)),
                    "pattern": {
                        "shape": "/" if name == "wrong" else "",
                        "fillmode": "overlay",
                        "fgcolor": "#FFFFFF",
                        "size": 5,
                        "solidity": 0.25,
                    },
                },
                hovertemplate=f"%{{y}} {name}<extra></extra>",
            )
        )
    fig.update_layout(barmode="stack", bargap=0)
    fig.add_vline(x=0, line={"color": LINE, "width": 1.5, "dash": "dot"})
    table = pd.DataFrame({"from": histogram.edges[:-1], "to": histogram.edges[1:], **histogram.series})
    n = sum(sum(counts) for counts in histogram.series.values())
    return Chart(
        figure=fig,
        alt=f"Projections of {n} validation examples. {_wrong_by_side(histogram, middle, ends)}",
        table=table,
        caption=f"n = {fmt.count(n)} validation examples of this class. {_wrong_by_side(histogram, middle, ends)}",
    )


def _wrong_by_side(histogram: Histogram, middle: list[float], ends: tuple[str, str]) -> str:
    if "wrong" not in histogram.series:
        return "Split at 0."
    parts = []
    for end, sign in zip(ends, (-1, 1), strict=True):
        inside = [i for i, x in enumerate(middle) if (x >= 0) == (sign > 0)]
        wrong = sum(histogram.series["wrong"][i] for i in inside)
        total = sum(counts[i] for counts in histogram.series.values() for i in inside)
        parts.append(f"{end}: {fmt.count(wrong)} of {fmt.count(total)} wrong")
    return "; ".join(parts) + "."


def direction_name(direction: Direction) -> str:
    """A direction in a control or on an axis: its place, and the name that a person gave."""
    return direction.title + (f" “{direction.name}”" if direction.name else "")


_SYMBOLS = ("circle", "x", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "hexagon")
_FEW = 2_000  # points that are drawn faster without WebGL than a WebGL context is made


def scatter(points: Scatter, *, names: tuple[str, str]) -> Chart:
    """Examples along two directions: colour and shape tell the series apart, `customdata` is the example's id."""
    fig = figure(x=names[0], y=names[1], height=430)
    rows: list[tuple[int, float, float, str]] = []
    counts: list[str] = []
    trace = go.Scatter if len(points.x) <= _FEW else go.Scattergl
    for number, series in enumerate(points.series):
        inside = [i for i, of in enumerate(points.of) if of == number]
        if not inside:
            continue
        counts.append(f"{fmt.count(len(inside))} {series}")
        rows += [(points.example_id[i], points.x[i], points.y[i], series) for i in inside]
        colour = {"right": RIGHT, "wrong": WRONG}.get(series, group_colour(number))
        fig.add_trace(
            trace(
                x=[points.x[i] for i in inside],
                y=[points.y[i] for i in inside],
                customdata=[[points.example_id[i]] for i in inside],
                mode="markers",
                name=series,
                marker={"size": 6, "opacity": 0.7, "color": colour, "symbol": _SYMBOLS[number % len(_SYMBOLS)]},
                hovertemplate=f"{series}: %{{x:.3f}}, %{{y:.3f}}<extra></extra>",
            )
        )
    fig.add_vline(x=0, line={"color": LINE, "width": 1.5, "dash": "dot"})
    fig.update_layout(dragmode="lasso")
    thinned = f" of {fmt.count(points.n)}, thinned evenly" if points.n > len(points.x) else ""
    sentence = f"{fmt.count(len(points.x))} validation examples{thinned}: {', '.join(counts)}."
    return Chart(
        figure=fig,
        alt=f"Scatter of {names[0]} against {names[1]}. {sentence}",
        table=pd.DataFrame(rows, columns=["example", names[0], names[1] + " ", "series"]),
        caption=f"{sentence} Groups are split at the dotted line.",
    )
