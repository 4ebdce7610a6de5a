"""Figures of training: live curves of a job, and accuracy per class of the runs made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import Chart, error_bar, figure
from unskew.charts.theme import GREY, group_colour
from unskew.schemas.api import CurvePoint, Run

SHARES = ("accuracy",)  # curves whose name ends so are drawn as shares


def curves(series: Mapping[str, Sequence[CurvePoint]], *, metric: str) -> Chart:
    """One metric over epochs, one line a run. `series` maps the run's name to its points, any metrics mixed."""
    is_share = metric.endswith(SHARES)
    title = metric.replace("_", " ")
    fig = figure(x="epoch", y=title, height=260, percent_y=is_share)
    rows: list[tuple[str, float, float]] = []
    for number, (name, points) in enumerate(series.items()):
        chosen = sorted((p for p in points if p.name == metric), key=lambda p: p.epoch)
        if not chosen:
            continue
        rows += [(name, p.epoch, p.value) for p in chosen]
        fig.add_trace(
            go.Scatter(
                x=[p.epoch for p in chosen],
                y=[p.value for p in chosen],
                mode="lines",
                name=name,
                line={"color": group_colour(number), "width": 1.8},
                hovertemplate=f"{name}, epoch %{{x:.1f}}: %{{y{':.1%' if is_share else ':.3f'}}}<extra></extra>",
            )
        )
    last = {name: value for name, _, value in rows}
    spread = f", last between {min(last.values()):.3f} and {max(last.values()):.3f}" if last else ""
    return Chart(
        figure=fig,
        alt=f"{title.capitalize()} over epochs for {fmt.plural(len(last), 'run')}{spread}.",
        table=pd.DataFrame(rows, columns=["run", "epoch", title]),
    )


def class_accuracy(runs: Sequence[Run]) -> Chart:
    """Validation accuracy per class: a dot a run with its Wilson interval, a line at their mean."""
    classes = [g.name for g in runs[0].class_accuracy] if runs else []
    fig = figure(x="", y="validation accuracy", height=260, percent_y=True)
    rows = []
    for number, run in enumerate(runs):
        values = [g.accuracy for g in run.class_accuracy]
        offset = (number - (len(runs) - 1) / 2) * 0.09
        fig.add_trace(
            go.Scatter(
                x=[i + offset for i in range(len(values))],
                y=[v.value for v in values],
                error_y=error_bar(
                    [v.value for v in values], [v.low for v in values], [v.high for v in values], thickness=1
                ),
                mode="markers",
                name=f"seed {run.seed}",
                marker={"size": 9, "color": group_colour(number)},
                hovertemplate=f"seed {run.seed}: %{{y:.1%}}<extra></extra>",
            )
        )
        rows += [
            (run.seed, g.name, g.accuracy.value, g.accuracy.low, g.accuracy.high, g.accuracy.n)
            for g in run.class_accuracy
        ]
    means = class_means(runs)
    for i, mean in enumerate(means.values()):
        fig.add_shape(type="line", x0=i - 0.3, x1=i + 0.3, y0=mean, y1=mean, line={"color": GREY, "width": 2})
    fig.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(classes))),
        ticktext=classes,
        range=[-0.6, max(0.6, len(classes) - 0.4)],
    )
    sentence = "; ".join(f"{name} {fmt.percent(value)}" for name, value in means.items())
    n = sum(g.accuracy.n for g in runs[0].class_accuracy) if runs else 0
    return Chart(
        figure=fig,
        alt=f"Validation accuracy per class, mean of {fmt.plural(len(runs), 'run')}: {sentence}.",
        table=pd.DataFrame(rows, columns=["seed", "class", "accuracy", "low", "high", "n"]),
        caption=f"Line: mean of {fmt.plural(len(runs), 'run')}. Whiskers: 95% Wilson interval; n = {fmt.count(n)}. "
        "An average over a class hides its groups: Discover looks inside.",
    )


def class_means(runs: Sequence[Run]) -> dict[str, float]:
    """Mean validation accuracy of the runs, per class."""
    sums: dict[str, list[float]] = {}
    for run in runs:
        for g in run.class_accuracy:
            sums.setdefault(g.name, []).append(g.accuracy.value)
    return {name: sum(values) / len(values) for name, values in sums.items()}
