"""Figure of the training examples behind one target: τ of the proponents and opponents that are shown."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from unskew.charts import format as fmt
from unskew.charts.base import LINE, Chart, figure
from unskew.charts.theme import BLUE, ORANGE, RED
from unskew.schemas.api import Influence


def pair_bars(found: Influence, chosen: int | None = None) -> Chart:
    """One bar a training example, from the strongest opponent to the strongest proponent; the chosen one stands out."""
    items = [*found.opponents, *reversed(found.proponents)]
    values = [e.value or 0.0 for e in items]
    names = [f"{e.label_name}, row {e.position + 1}" for e in items]
    fig = figure(x="opponents … proponents", y="τ", height=190)
    fig.add_trace(
        go.Bar(
            x=list(range(len(items))),
            y=values,
            marker={
                "color": [
                    ORANGE if e.id == chosen else BLUE if v > 0 else RED for e, v in zip(items, values, strict=True)
                ]
            },
            customdata=names,
            hovertemplate="%{customdata}: τ = %{y:.3g}<extra></extra>",
            showlegend=False,
        )
    )
    fig.add_hline(y=0, line={"color": LINE, "width": 1})
    fig.update_xaxes(showticklabels=False)
    low, high = (fmt.signed(min(values)), fmt.signed(max(values))) if values else ("–", "–")
    return Chart(
        figure=fig,
        alt=f"τ on {found.target} of {len(items)} training examples, from {low} to {high}.",
        table=pd.DataFrame(
            {"row": [e.position + 1 for e in items], "class": [e.label_name for e in items], "τ": values}
        ),
    )
