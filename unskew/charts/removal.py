"""The removal curve: worst-group accuracy over the number of training examples dropped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import LINE, Chart, figure
from unskew.charts.theme import GREY, ORANGE, method_colour, method_name
from unskew.schemas.api import CurveRow


def removal_curve(
    rows: Sequence[CurveRow],
    *,
    star: int | None = None,
    best_k: int | None = None,
    balancing: int | None = None,
    grouping: str = "",
) -> Chart:
    """Mean over seeds with its band by method; star, K*, random control, the level of ERM, what balancing would drop.

    Args:
        balancing: rows that subsampling every group to the smallest would drop; an arrow at the edge where it is beyond
            the curve.
    """
    fig = figure(x="K, training examples dropped", y="worst-group accuracy", height=320, percent_y=True)
    lines: dict[str, list[CurveRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r.k):
        lines[row.method.value].append(row)
    level = _erm_level(lines)
    if level is not None:
        fig.add_hline(
            y=level,
            line={"color": GREY, "width": 1.5, "dash": "dot"},
            annotation_text="ERM",
            annotation_position="bottom right",
        )
    pruned = [method for method in lines if method != "erm"]
    for method in pruned:
        points = lines[method]
        if level is not None and points[0].k > 0 and "erm" in lines:
            points = [lines["erm"][0], *points]  # every curve starts at K = 0
        _add_line(fig, points, method)
    main = next((m for m in pruned if m != "random_k"), None)
    if main is not None:
        _add_marker(fig, lines[main], star, "star", f"star: T < 0 (K = {fmt.count(star or 0)})", 15)
        _add_marker(fig, lines[main], best_k, "diamond", f"K* on validation ({fmt.count(best_k or 0)})", 12)
    if balancing is not None and rows:
        _add_balancing(fig, balancing, max(r.k for r in rows), level)
    table = pd.DataFrame(
        {
            "method": [method_name(r.method) for r in rows],
            "K": [r.k for r in rows],
            "split": [str(r.split) for r in rows],
            "worst group": [r.worst_group_accuracy.value for r in rows],
            "low": [r.worst_group_accuracy.low for r in rows],
            "high": [r.worst_group_accuracy.high for r in rows],
            "balanced": [r.balanced_accuracy.value for r in rows],
            "average": [r.average_accuracy.value for r in rows],
            "seeds": [len(r.seeds) for r in rows],
        }
    )
    return Chart(figure=fig, alt=_takeaway(rows, level), table=table, caption=_caption(rows, grouping))


def _erm_level(lines: dict[str, list[CurveRow]]) -> float | None:
    if lines.get("erm"):
        return lines["erm"][0].worst_group_accuracy.value
    zero = [r for points in lines.values() for r in points if r.k == 0]
    return zero[0].worst_group_accuracy.value if zero else None


def _add_line(fig: go.Figure, points: Sequence[CurveRow], method: str) -> None:
    x = [r.k for r in points]
    y = [r.worst_group_accuracy.value for r in points]
    low = [max(0.0, r.worst_group_accuracy.low) for r in points]
    high = [min(1.0, r.worst_group_accuracy.high) for r in points]
    colour = method_colour(method)
    if any(r.worst_group_accuracy.n > 1 for r in points):
        fig.add_trace(
            go.Scatter(
                x=[*x, *reversed(x)],
                y=[*high, *reversed(low)],
                mode="lines",
                fill="toself",
                fillcolor=_faded(colour, 0.16),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    fig.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=f"{method_name(method)}, worst group",
            line={"color": colour, "width": 2.2, "dash": "dash" if method == "random_k" else "solid"},
            marker={"size": 6},
            hovertemplate="K = %{x:,}: %{y:.1%}<extra>" + method_name(method) + "</extra>",
        )
    )
    fig.add_trace(
        go.Scatter(
            x=x,
            y=[r.balanced_accuracy.value for r in points],
            mode="lines",
            name=f"{method_name(method)}, balanced",
            line={"color": colour, "width": 1.2, "dash": "dot"},
            hovertemplate="K = %{x:,}: balanced %{y:.1%}<extra>" + method_name(method) + "</extra>",
            visible=True if method != "random_k" else "legendonly",
        )
    )


def _add_marker(fig: go.Figure, points: Sequence[CurveRow], k: int | None, symbol: str, name: str, size: int) -> None:
    if k is None or not points:
        return
    fig.add_trace(
        go.Scatter(
            x=[k],
            y=[at(points, k)],
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": size, "color": ORANGE, "line": {"width": 1, "color": LINE}},
            hovertemplate=name + ": %{y:.1%}<extra></extra>",
        )
    )


def _add_balancing(fig: go.Figure, balancing: int, last: int, level: float | None) -> None:
    """A line where balancing would stop; far beyond the curve it would squeeze it, so that only words stand there."""
    words = f"balancing would drop {fmt.count(balancing)}"
    if balancing <= 1.5 * last:
        fig.add_vline(x=balancing, line={"color": GREY, "width": 1.5, "dash": "dash"}, annotation_text=words)
        return
    y, anchor = (0.98, "top") if level is not None and level < 0.3 else (0.02, "bottom")  # away from the words "ERM"
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": y, "xanchor": "right", "yanchor": anchor}
    fig.add_annotation(text=f"{words} →", showarrow=False, **place)


def at(points: Sequence[CurveRow], k: int) -> float:
    """Worst-group accuracy of the curve at K, linear between the K that were run."""
    ordered = sorted(points, key=lambda r: r.k)
    for left, right in pairwise(ordered):
        if left.k <= k <= right.k:
            share = (k - left.k) / max(1, right.k - left.k)
            return left.worst_group_accuracy.value * (1 - share) + right.worst_group_accuracy.value * share
    return ordered[0].worst_group_accuracy.value if k < ordered[0].k else ordered[-1].worst_group_accuracy.value


def _faded(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"


def _takeaway(rows: Sequence[CurveRow], level: float | None) -> str:
    pruned = [r for r in rows if r.method.value not in ("erm", "random_k")]
    if not pruned:
        return "Removal curve: nothing has been retrained yet."
    best = max(pruned, key=lambda r: r.worst_group_accuracy.value)
    against = f" against {fmt.percent(level)} for ERM" if level is not None else ""
    value = fmt.percent(best.worst_group_accuracy.value)
    return f"Worst-group accuracy is highest at K = {fmt.count(best.k)}: {value}{against}."


def _caption(rows: Sequence[CurveRow], grouping: str) -> str:
    seeds = sorted({s for r in rows for s in r.seeds})
    splits = " and ".join(sorted({str(r.split) for r in rows}))
    over = f" over the groups of {grouping}" if grouping else ""
    mean = f"mean over {fmt.plural(len(seeds), 'seed')}, band = 95% interval of the mean"
    return f"{splits.capitalize()} split{over}; {mean}."
