"""Show a `Chart`: the figure with its text alternative, its caption, and its numbers as a table."""

from __future__ import annotations

import streamlit as st

from unskew.charts.base import Chart

_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "pan2d", "zoom2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


def picked_in(key: str) -> list[int]:
    """Ids (`customdata`) of the points inside a person's lasso or box; known before the figure is drawn again."""
    state = st.session_state.get(key)
    points = state["selection"]["points"] if state else []
    return [int(point["customdata"][0]) for point in points if point.get("customdata")]


def show(chart: Chart, *, key: str, title: str = "", select: bool = False) -> None:
    """Draw the figure; `key` must be unique on the page. With `select` a person can pick points: see `picked_in`."""
    if title:
        st.markdown(f"**{title}**")
    config = {**_CONFIG, "toImageButtonOptions": {**_CONFIG["toImageButtonOptions"], "filename": f"unskew-{key}"}}  # type: ignore[dict-item]
    if select:
        config["modeBarButtonsToRemove"] = ["autoScale2d", "pan2d"]
        # points are named by their own id: an index would count within one trace only
        st.plotly_chart(
            chart.figure, key=key, config=config, alt=chart.alt, on_select="rerun", selection_mode=("lasso", "box")
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
