"""Small figures of a view: what is in it against the rest of its split, and where it lies in what it is sorted by."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import LINE, Chart, centres, figure
from unskew.charts.scores import root, ticks
from unskew.charts.theme import BLUE, GREY
from unskew.schemas.api import Counts, Histogram

HEIGHT, ROW, FEWEST = 150, 15, 5  # px of a figure, px of a value at least, values that a figure has room for at least
LETTERS = 16  # of a value's name that fit beside its bar
NUMBERS = 0.3  # of the longest bar, kept free at its end for the number
TICK = 0.17  # of the axis that a tick's number takes
UNKNOWN = "not known"
WORDS = 6  # values that the text alternative names
# Said here, since Streamlit would say it only after the first drawing, and draw a second time.
_CLICKED = {"clickmode": "event+select", "hovermode": "closest", "dragmode": "pan"}
_DRAWN_OVER = {"clickmode": "event", "hovermode": "closest", "dragmode": "select", "selectdirection": "h"}
TITLES = {"class": "Class", "models": "Models are"}


def title(counts: Counts) -> str:
    return TITLES.get(counts.of, counts.name)


def counted(counts: Counts, *, chosen: str | None = None) -> Chart:
    """A bar for each value, as long as it is frequent in the split; blue: what is in the view.

    `customdata` is the value. Its whole line answers the mouse, since the bar of a rare value is too short to be met.

    Args:
        chosen: the value that the view is filtered by; its name is bold.
    """
    values = counts.values
    places = list(range(len(values)))
    longest = max((v.n_split for v in values), default=0) or 1
    end = longest * (1 + NUMBERS)
    fig = figure(x="", y="", height=max(HEIGHT, ROW * len(values)))
    parts = {
        BLUE: [v.n for v in values],
        GREY: [v.n_split - v.n for v in values],
        "rgba(0, 0, 0, 0)": [end - v.n_split for v in values],
    }
    said: dict[str, object] = {
        "y": places,
        "customdata": [[v.value] for v in values],
        "hovertext": [f"{_escaped(v.value)}: {fmt.count(v.n)} of {fmt.count(v.n_split)}" for v in values],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }
    for colour, lengths in parts.items():
        marker = {"color": colour, "line": {"width": 0}}
        fig.add_trace(go.Bar(x=lengths, orientation="h", marker=marker, **said))
    numbers = [fmt.count(v.n) for v in values]
    fig.add_trace(go.Scatter(x=[end] * len(values), mode="text", text=numbers, textposition="middle left", **said))
    fig.update_layout(barmode="stack", bargap=0.25, margin={"l": 4, "r": 0, "t": 0, "b": 0}, **_CLICKED)
    fig.update_xaxes(visible=False, fixedrange=True, range=[0, end])
    fig.update_yaxes(
        title=None,
        fixedrange=True,
        showgrid=False,
        range=[max(len(values), FEWEST) - 0.5, -0.5],
        tickvals=places,
        ticklabeloverflow="allow",  # else the last one is hidden
        ticktext=[f"<b>{_short(v.value)}</b>" if v.value == chosen else _short(v.value) for v in values],
    )
    name = title(counts)
    rows = [(v.value or UNKNOWN, v.n, v.n_split) for v in values]
    more = max(0, len(values) - WORDS) + counts.left_out
    words = [f"{value} {fmt.count(n)} of {fmt.count(of)}" for value, n, of in rows[:WORDS]]
    return Chart(
        figure=fig,
        alt=f"{name}, in the view and in the split: {'; '.join(words)}{f'; and {fmt.count(more)} more' * bool(more)}.",
        table=pd.DataFrame(rows, columns=[name, "in the view", "in the split"]),
        caption=f"The most frequent {len(values)}; {fmt.count(counts.left_out)} more." if counts.left_out else "",
    )


def _escaped(value: str) -> str:
    return escape(value, quote=False) or UNKNOWN


def _short(value: str) -> str:
    return _escaped(value if len(value) <= LETTERS else f"{value[: LETTERS - 1]}…")


def sorted_by(histogram: Histogram, *, name: str, roots: bool) -> Chart:
    """Where the view lies in what it is sorted by; a person may draw over a range, see `bounds`.

    Args:
        roots: draw on the scale of cube roots, as T.
    """
    edges = _drawn(histogram.edges, roots)
    inside, outside = histogram.series["in the view"], histogram.series["outside"]
    fig = figure(x="", y="", height=HEIGHT)
    said = [
        f"{low:.3g} to {high:.3g}: {fmt.count(n)} of {fmt.count(n + rest)}"
        for (low, high), n, rest in zip(pairwise(histogram.edges), inside, outside, strict=True)
    ]
    for colour, counts in ((BLUE, inside), (GREY, outside)):
        fig.add_trace(
            go.Bar(
                x=centres(edges),
                y=counts,
                width=[high - low for low, high in pairwise(edges)],
                marker={"color": colour, "line": {"width": 0}},
                hovertext=said,
                hovertemplate="%{hovertext}<extra></extra>",
                showlegend=False,
            )
        )
    fig.add_vline(x=0, line={"color": LINE, "width": 1.5, "dash": "dot"})
    fig.update_layout(barmode="stack", bargap=0, **_DRAWN_OVER)
    fig.update_xaxes(title=None, fixedrange=True, range=[edges[0], edges[-1]], nticks=5)
    fig.update_yaxes(title=None, fixedrange=True, nticks=4)
    if roots:
        shown = _apart(ticks(histogram.edges), edges)
        fig.update_xaxes(tickvals=_drawn(shown, roots), ticktext=[f"{t:g}" for t in shown])
    rows = zip(histogram.edges, histogram.edges[1:], inside, outside, strict=False)
    n, every = sum(inside), sum(inside) + sum(outside)
    span = [pair for pair, n_bin in zip(pairwise(histogram.edges), inside, strict=True) if n_bin]
    between = f", between {span[0][0]:.3g} and {span[-1][1]:.3g}" if span else ""
    return Chart(
        figure=fig,
        alt=f"Histogram of {name}: {fmt.count(n)} of {fmt.count(every)} examples are in the view{between}.",
        table=pd.DataFrame(rows, columns=["from", "to", "in the view", "outside"]),
    )


def _apart(wanted: list[float], edges: list[float]) -> list[float]:
    """Of T's ticks, the important ones first, those whose numbers have room beside each other."""
    kept: list[float] = []
    for tick in wanted:
        if all(abs(root(tick) - root(other)) > TICK * (edges[-1] - edges[0]) for other in kept):
            kept.append(tick)
    return kept


def bounds(edges: list[float], left: float, right: float, *, roots: bool) -> tuple[float | None, float | None]:
    """Bounds that leave what was drawn over in `sorted_by`: whole bars, and no bound where the last bar is among them.

    Args:
        left, right: where the drawing began and ended, on the scale of the figure, in any order.
    """
    left, right = sorted((left, right))
    drawn = _drawn(edges, roots)
    middles = centres(drawn)
    inside = [i for i, middle in enumerate(middles) if left <= middle <= right]
    if not inside:  # narrower than a bar
        inside = [min(range(len(middles)), key=lambda i: abs(middles[i] - (left + right) / 2))]
    first, last = inside[0], inside[-1]
    low = None if first == 0 else _rounded(edges[first])
    high = None if last == len(middles) - 1 else _rounded(edges[last + 1])
    return low, high


def _rounded(edge: float) -> float:
    """As it is shown in the number box, so that what is seen is what is asked for."""
    return float(f"{edge:g}")


def _drawn(values: list[float], roots: bool) -> list[float]:
    return [root(v) for v in values] if roots else values
