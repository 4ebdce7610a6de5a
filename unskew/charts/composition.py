"""Figures of a removal: the training set before and after, and how few rows carry the harm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import GRID, LINE, Chart, figure
from unskew.charts.theme import BLUE, GREY, ORANGE, RED
from unskew.schemas.api import CompositionRow, NegativeMass

PARTS = (("before", GREY, ""), ("after", BLUE, ""), ("balanced", ORANGE, "/"))


def composition(rows: Sequence[CompositionRow], k: int) -> Chart:
    """Training examples of every class and attribute value: now, without the k lowest, and as balancing leaves them."""
    fig = figure(x="training examples", y="", height=90 + 58 * max(1, len(rows)))
    fig.update_xaxes(showgrid=True, gridcolor=GRID)
    fig.update_yaxes(showgrid=False, autorange="reversed", type="category")
    fig.update_layout(barmode="group", bargap=0.25)
    titles = {"before": "before", "after": f"without the {fmt.count(k)} lowest", "balanced": "balanced (SUBG)"}
    for part, colour, pattern in PARTS:
        fig.add_trace(
            go.Bar(
                x=[getattr(row, part) for row in rows],
                y=[row.name for row in rows],
                name=titles[part],
                orientation="h",
                marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "#FFFFFF", "solidity": 0.2}},
                hovertemplate="%{y}: %{x:,}<extra>" + titles[part] + "</extra>",
            )
        )
    kept, balanced = sum(row.after for row in rows), sum(row.balanced for row in rows)
    sentence = f"{fmt.count(kept)} of {fmt.count(sum(row.before for row in rows))} rows stay; balancing would keep "
    sentence += f"{fmt.count(balanced)}."
    return Chart(
        figure=fig,
        alt=f"Training set by class and attribute before and after dropping {fmt.count(k)} rows. {sentence}",
        table=pd.DataFrame([row.model_dump() for row in rows]),
        caption=f"{sentence} Attributes of training rows are read for this figure only.",
    )


def concentration(mass: NegativeMass, n_train: int) -> Chart:
    """Share of the negative alignment over the k lowest rows: the earlier it rises, the fewer rows carry the harm."""
    fig = figure(x="K, lowest rows", y="share of negative alignment", height=240, percent_y=True)
    fig.add_trace(
        go.Scatter(
            x=mass.k,
            y=mass.share,
            mode="lines",
            line={"color": RED, "width": 2.2},
            showlegend=False,
            hovertemplate="the %{x:,} lowest rows hold %{y:.0%}<extra></extra>",
        )
    )
    even = {"color": LINE, "width": 1.2, "dash": "dot"}
    if mass.k and mass.k[-1]:
        fig.add_trace(
            go.Scatter(x=[0, mass.k[-1]], y=[0, 1], mode="lines", line=even, hoverinfo="skip", showlegend=False)
        )
    n = max(1, round(0.05 * n_train))
    held = next((share for k, share in zip(mass.k, mass.share, strict=True) if k >= n), mass.share[-1])
    sentence = f"The lowest 5% of the training rows ({fmt.count(n)}) hold {fmt.percent(held, 0)} of it."
    return Chart(
        figure=fig,
        alt=f"How the negative alignment is spread over rows. {sentence}",
        table=pd.DataFrame({"K": mass.k, "share of negative alignment": mass.share}),
        caption=f"{sentence} Dotted: if all rows with T < 0 harmed alike.",
    )
