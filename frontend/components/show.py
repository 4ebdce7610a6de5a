"""Show a `Chart`: the figure with its text alternative, its caption, and its numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from unskew.charts.base import Chart

Mode = Literal["points", "box", "lasso"]
_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "pan2d", "zoom2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


def picked_in(key: str) -> list[int]:
    """Ids (`customdata`) of the points inside a person's lasso or box; known before the figure is drawn again."""
    state = st.session_state.get(key)
    points = state["selection"]["points"] if state else []
    return [int(point["customdata"][0]) for point in points if point.get("customdata")]


def show(
    chart: Chart,
    *,
    key: str,
    title: str = "",
    select: Sequence[Mode] = (),
    on_select: Callable[[], None] | Literal["rerun"] = "rerun",
    tools: bool = True,
) -> None:
    """Draw the figure; `key` must be unique on the page.

    Args:
        select: by what means a person can pick in it; what is picked stands in the session state under `key`.
        on_select: called as soon as something was picked, before the page is drawn again.
        tools: whether buttons lie over the figure; over a small one they hide it.
    """
    if title:
        st.markdown(f"**{title}**")
    config = {**_CONFIG, "toImageButtonOptions": {**_CONFIG["toImageButtonOptions"], "filename": f"unskew-{key}"}}
    if not tools:
        config["displayModeBar"] = False
    if select:
        config["modeBarButtonsToRemove"] = ["autoScale2d", "pan2d"]
        # points are named by their own id: an index would count within one trace only
        st.plotly_chart(
            chart.figure, key=key, config=config, alt=chart.alt, on_select=on_select, selection_mode=tuple(select)
        )
    else:
        st.plotly_chart(chart.figure, key=key, config=config, alt=chart.alt)
    if chart.caption:
        st.caption(chart.caption)
    with st.expander(
        "Table", key=f"{key}_table", type="compact", icon=":material/table_rows:", on_change="rerun"
    ) as box:
        if box.open:
            st.dataframe(chart.table, hide_index=True, key=f"{key}_rows", alt=chart.alt)
