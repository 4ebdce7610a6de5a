"""Figures of the Compare page: the league of methods, and before/after per group."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from unskew.charts import format as fmt
from unskew.charts.base import GRID, LINE, Chart, error_bar, figure
from unskew.charts.theme import GREY, RED, method_colour, method_name
from unskew.schemas.api import Confusion, GroupAccuracy, Interval, MethodResult
from unskew.schemas.methods import LABELS, RECIPES

OFFSET = 0.16  # rows: before above, after below, so that whiskers and arrows do not lie on each other


def league(methods: Sequence[MethodResult]) -> Chart:
    """Worst-group accuracy with its interval over seeds, balanced accuracy hollow, one line a method."""
    ordered = sorted(methods, key=lambda m: m.worst_group_accuracy.value)
    names = [label(m) for m in ordered]
    fig = figure(x="accuracy", y="", height=90 + 44 * len(ordered), percent_x=True)
    fig.update_xaxes(showgrid=True, gridcolor=GRID)
    fig.update_yaxes(showgrid=False)
    for method, name in zip(ordered, names, strict=True):
        worst, colour = method.worst_group_accuracy, method_colour(method.method)
        whisker = error_bar([worst.value], [max(0, worst.low)], [min(1, worst.high)])
        pair = ((worst, "circle", "worst group"), (method.balanced_accuracy, "circle-open", "balanced"))
        for share, symbol, kind in pair:
            fig.add_trace(
                go.Scatter(
                    x=[share.value],
                    y=[name],
                    error_x={**whisker, "color": colour} if kind == "worst group" else None,
                    mode="markers",
                    marker={"size": 12, "symbol": symbol, "color": colour, "line": {"width": 2, "color": colour}},
                    hovertemplate=f"{name}: {kind} %{{x:.1%}}<extra></extra>",
                    showlegend=False,
                )
            )
    best = ordered[-1] if ordered else None
    alt = (
        f"{label(best)} has the best worst-group accuracy, {fmt.percent(best.worst_group_accuracy.value)}."
        if best
        else "No methods yet."
    )
    caption = "Filled: worst group, whiskers = 95% t interval over seeds. Hollow: balanced accuracy."
    return Chart(figure=fig, alt=alt, table=league_table(list(reversed(ordered))), caption=caption)


def label(method: MethodResult) -> str:
    """The method with how many examples it dropped: "TRAK, K = 1,391"."""
    return method_name(method.method) + (f", K = {fmt.count(method.removed)}" if method.removed else "")


def by_labels(methods: Sequence[MethodResult]) -> list[MethodResult]:
    """By the labels that they read, fewest first; inside, the best worst-group accuracy first."""
    return sorted(methods, key=lambda m: (LABELS.index(m.labels_used), -m.worst_group_accuracy.value))


def league_table(methods: Sequence[MethodResult]) -> pd.DataFrame:
    """One row a method: shares with the half width of their interval, in the order given."""
    return pd.DataFrame(
        {
            "Labels it reads": [m.labels_used for m in methods],
            "Method": [method_name(m.method) + (" (control)" if RECIPES[m.method].control else "") for m in methods],
            "Dropped": [fmt.count(m.removed) if m.removed else "–" for m in methods],
            "Worst group": [fmt.over_seeds(m.worst_group_accuracy) for m in methods],
            "s.d.": ["–" if m.worst_group_sd is None else f"{100 * m.worst_group_sd:.1f}" for m in methods],
            "95% bootstrap": [_range(m.worst_group_bootstrap) for m in methods],
            "Balanced": [fmt.over_seeds(m.balanced_accuracy) for m in methods],
            "Average": [fmt.over_seeds(m.average_accuracy) for m in methods],
            "Average, weighted as in training": [_known(m.adjusted_average_accuracy) for m in methods],
            "Seeds": [", ".join(str(s) for s in m.seeds) for m in methods],
        }
    )


def _range(value: Interval | None) -> str:
    return "–" if value is None else f"{100 * value.low:.1f}–{100 * value.high:.1f}%"


def _known(value: Interval | None) -> str:
    return "not known" if value is None else fmt.over_seeds(value)


def dumbbell(before: MethodResult, after: MethodResult) -> Chart:
    """Accuracy of every group before and after, an arrow from one to the other; the worst group before is red."""
    pairs = _paired(before.groups, after.groups)
    pairs.sort(key=lambda p: p[0].accuracy.value, reverse=True)  # the last is drawn on top
    fig = figure(x="accuracy", y="", height=90 + 50 * len(pairs), percent_x=True)
    fig.update_xaxes(showgrid=True, gridcolor=GRID, range=[-0.01, 1.02])
    names = [f"{a.name} (n = {fmt.count(a.accuracy.n)})" for a, _ in pairs]
    ticks = list(range(len(pairs)))
    fig.update_yaxes(showgrid=False, tickmode="array", tickvals=ticks, ticktext=names, range=[-0.6, len(pairs) - 0.4])
    for row, (a, b) in enumerate(pairs):
        _arrow(fig, row, a.accuracy.value, b.accuracy.value, worst=row == len(pairs) - 1)
    for side, result, colour, symbol in (
        (0, before, GREY, "circle"),
        (1, after, method_colour(after.method), "diamond"),
    ):
        values = [pair[side].accuracy for pair in pairs]
        whiskers = error_bar([v.value for v in values], [v.low for v in values], [v.high for v in values], thickness=1)
        fig.add_trace(
            go.Scatter(
                x=[v.value for v in values],
                y=[row + (OFFSET if side == 0 else -OFFSET) for row in ticks],
                mode="markers",
                name=label(result),
                marker={"size": 12, "symbol": symbol, "color": colour},
                error_x=whiskers,
                text=names,
                hovertemplate="%{text}: %{x:.1%}<extra>" + label(result) + "</extra>",
            )
        )
    table = pd.DataFrame(
        {
            "Group": [a.name for a, _ in pairs],
            "n": [a.accuracy.n for a, _ in pairs],
            label(before): [fmt.interval(a.accuracy, digits=1) for a, _ in pairs],
            label(after): [fmt.interval(b.accuracy, digits=1) for _, b in pairs],
            "Change": [fmt.points(b.accuracy.value - a.accuracy.value) for a, b in pairs],
        }
    )
    return Chart(
        figure=fig,
        alt=_dumbbell_takeaway(pairs, before, after),
        table=table,
        caption="Whiskers: 95% Wilson interval of each group's accuracy.",
    )


def _arrow(fig: go.Figure, row: int, before: float, after: float, *, worst: bool) -> None:
    fig.add_annotation(
        x=after,
        y=row - OFFSET,
        ax=before,
        ay=row + OFFSET,
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowwidth=2.4 if worst else 1.4,
        arrowcolor=RED if worst else LINE,
        standoff=7,
        startstandoff=7,
    )


def _paired(
    before: Sequence[GroupAccuracy], after: Sequence[GroupAccuracy]
) -> list[tuple[GroupAccuracy, GroupAccuracy]]:
    later = {g.group: g for g in after}
    return [(g, later[g.group]) for g in before if g.group in later]


def _dumbbell_takeaway(
    pairs: list[tuple[GroupAccuracy, GroupAccuracy]], before: MethodResult, after: MethodResult
) -> str:
    if not pairs:
        return "No group is shared by both methods."
    a, b = pairs[-1]
    return (
        f"The worst group, {a.name}, goes from {fmt.percent(a.accuracy.value)} with {label(before)} "
        f"to {fmt.percent(b.accuracy.value)} with {label(after)}."
    )


def confusion(before: Confusion, after: Confusion, *, names: tuple[str, str]) -> Chart:
    """What each group is taken for, before, after, and the difference: three heat maps with one scale a kind."""
    fig = make_subplots(cols=3, subplot_titles=(*names, "difference"), shared_yaxes=True, horizontal_spacing=0.03)
    rows = [f"{name} (n = {fmt.count(n)})" for name, n in zip(before.groups, before.n, strict=True)]
    change = [[b - a for a, b in zip(x, y, strict=True)] for x, y in zip(before.share, after.share, strict=True)]
    for column, (share, scale, low) in enumerate(
        ((before.share, SHARE_SCALE, 0), (after.share, SHARE_SCALE, 0), (change, CHANGE_SCALE, -1)), start=1
    ):
        fig.add_trace(
            go.Heatmap(
                x=before.classes,
                y=rows,
                z=share,
                zmin=low,
                zmax=1,
                colorscale=scale,
                texttemplate="%{z:.0%}" if low == 0 else "%{z:+.0%}",
                hovertemplate="%{y} taken for %{x}: %{z:.1%}<extra></extra>",
                showscale=False,
            ),
            row=1,
            col=column,
        )
    plain = figure(x="", y="", height=120 + 34 * len(rows)).layout
    fig.update_layout(height=plain.height, margin={**plain.margin.to_plotly_json(), "t": 34}, dragmode=False)
    fig.update_layout(paper_bgcolor=plain.paper_bgcolor, plot_bgcolor=plain.plot_bgcolor)
    fig.update_xaxes(type="category", title=None)
    fig.update_yaxes(autorange="reversed", automargin=True, type="category")
    table = pd.DataFrame(
        [
            (group, n, taken, x[i], y[i], y[i] - x[i])
            for group, n, x, y in zip(before.groups, before.n, before.share, after.share, strict=True)
            for i, taken in enumerate(before.classes)
        ],
        columns=["group", "n", "taken for", names[0], names[1] + " ", "difference"],
    )
    right = [
        (d[label], name) for d, label, name in zip(change, before.labels, before.groups, strict=True)
    ]  # diagonal of the difference
    best = max(right, default=(0.0, "none"))
    return Chart(
        figure=fig,
        alt=f"What each group is taken for. {best[1]} gains most: {fmt.points(best[0])} right.",
        table=table,
        caption=f"{before.split.capitalize()} split, mean over {len(before.run_ids)} and "
        f"{fmt.plural(len(after.run_ids), 'run')}. "
        "A row is a group, a column the class it is taken for; rows sum to 100%.",
    )


SHARE_SCALE = [[0, "#E6F0F7"], [1, "#0C5688"]]
CHANGE_SCALE = [[0, "#A33313"], [0.5, "#F4F6F8"], [1, "#0C5688"]]
