"""Mean T of subpopulations as a chart, the most harmful on top."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import GRID, LINE, Chart, error_bar, figure
from unskew.charts.theme import BLUE, RED
from unskew.schemas.api import Subpopulation

SHOWN = 20  # of each end; the table holds all


def subpopulation_chart(found: Sequence[Subpopulation]) -> Chart:
    """Mean T with its 95 % interval; a negative mean is red."""
    some = list(found) if len(found) <= 2 * SHOWN else [*found[:SHOWN], *found[-SHOWN:]]
    fig = figure(x="mean T", y="", height=90 + 26 * max(1, len(some)))
    fig.update_xaxes(showgrid=True, gridcolor=GRID)
    fig.update_yaxes(showgrid=False, autorange="reversed")
    means = [s.mean for s in some]
    whiskers = error_bar([m.value for m in means], [m.low for m in means], [m.high for m in means])
    fig.add_trace(
        go.Scatter(
            x=[m.value for m in means],
            y=[f"{s.name} ({fmt.count(s.mean.n)})" for s in some],
            error_x={**whiskers, "color": LINE},
            mode="markers",
            marker={"size": 10, "color": [RED if m.value < 0 else BLUE for m in means]},
            hovertemplate="%{y}: %{x:.3g}<extra></extra>",
            showlegend=False,
        )
    )
    fig.add_vline(x=0, line={"color": LINE, "width": 1})
    table = pd.DataFrame(
        {
            "subpopulation": [s.name for s in found],
            "n": [s.mean.n for s in found],
            "mean T": [s.mean.value for s in found],
            "low": [s.mean.low for s in found],
            "high": [s.mean.high for s in found],
            "standard errors": [s.standard_errors for s in found],
            "T < 0": [s.below_zero for s in found],
        }
    )
    worst = found[0] if found else None
    alt = f"{worst.name} harms the worst groups most." if worst else "No subpopulation is large enough."
    return Chart(figure=fig, alt=alt, table=table, caption="Whiskers: 95% t interval of the mean over examples.")
