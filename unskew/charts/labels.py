"""Figure of the agreement of annotators."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from unskew.charts.base import Chart, figure
from unskew.schemas.api import Agreement


def kappa_matrix(found: Agreement) -> Chart:
    """Cohen's kappa of every pair as a heat map with its numbers; empty where a pair has no common example."""
    names = [a.name for a in found.annotators]
    known = {(p.first, p.second): p.kappa.value for p in found.pairs if p.kappa is not None}
    values = [[known.get((a, b), known.get((b, a))) for b in names] for a in names]
    fig = figure(x="", y="", height=90 + 42 * len(names))
    fig.add_trace(
        go.Heatmap(
            x=names,
            y=names,
            z=values,
            zmin=0,
            zmax=1,
            colorscale=[[0, "#E6F0F7"], [1, "#0C5688"]],
            texttemplate="%{z:.2f}",
            hovertemplate="%{y} and %{x}: kappa %{z:.2f}<extra></extra>",
            showscale=False,
        )
    )
    fig.update_yaxes(autorange="reversed", type="category")
    fig.update_xaxes(type="category")
    rows = [
        (p.first, p.second, p.n, p.observed.value, p.kappa.value if p.kappa else None, p.kappa.low if p.kappa else None,
         p.kappa.high if p.kappa else None)
        for p in found.pairs
    ]  # fmt: skip
    words = "; ".join(f"{a} and {b} {value:.2f}" for (a, b), value in known.items()) or "no pair has common examples"
    return Chart(
        figure=fig,
        alt=f"Cohen's kappa of {len(names)} annotators: {words}.",
        table=pd.DataFrame(rows, columns=["first", "second", "n", "same label", "kappa", "low", "high"]),
        caption="1: always the same label, 0: as often as chance would give.",
    )
