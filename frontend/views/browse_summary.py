"""Browse, above the gallery: what the view is like, in small figures that set its filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from frontend import address, api
from frontend.components.code import as_arguments, as_query, code
from frontend.components.messages import shown
from frontend.components.show import Mode, show
from unskew.charts import format as fmt
from unskew.charts import views as charts
from unskew.charts.base import Chart
from unskew.schemas.api import Counts, ExampleFilter, Histogram, ProjectDetail

ANY = "any"
AT_REST: dict[str, str | None] = {
    "b_class": ANY,
    "b_attribute": ANY,
    "b_vote": ANY,
    "b_group": ANY,
    "b_low": None,
    "b_high": None,
}
WIDTH = 255  # px of a figure
ATTRIBUTES = 3  # have a figure before somebody chooses among more; with the class they fill a line
TURNS = "b_turns"  # filters set by figures so far


def switch() -> bool:
    """Off at first: a first grid need not wait for figures."""
    address.restore("b_hist", [False, True], False)
    on = st.toggle("Histograms", key="b_hist", help="What the view is like; its bars set filters.")
    return address.kept("b_hist", on)


def clear_button(rule: ExampleFilter, further: bool) -> None:
    if rule != ExampleFilter() or further:
        st.button("Clear filters", key="b_clear", icon=":material/filter_alt_off:", on_click=_clear)


def _clear() -> None:
    st.session_state.update(AT_REST)


def histograms(project: ProjectDetail, rule: ExampleFilter, arguments: dict[str, Any]) -> None:
    """Figures of the classes, each attribute, right and wrong, and of what the page is sorted by.

    Args:
        arguments: of `Client.view_summary`.
    """
    with shown(), st.container(key="b_histograms"):
        attributes = _attributes(project)
        found = api.view_summary(project.slug, **arguments, attributes=attributes)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"Blue: the {fmt.count(found.n)} in the view; grey: the rest of {fmt.count(found.n_split)}. "
                "Click a bar to filter by it, and again to stop"
                + ("; drag over the values to bound them." if found.histogram else "."),
                width="content",
            )
            asked = arguments | ({} if attributes is None else {"attributes": list(attributes)})
            path = f"/projects/{project.slug}/examples/summary?{as_query(asked)}"
            code(f'client.view_summary("{project.slug}", {as_arguments(asked)})', "GET", path, key="b_hist_code")
        with st.container(horizontal=True, gap="medium"):
            for number, counts in enumerate(found.counts):
                if counts.of != "models" or api.attributions(project.slug):  # else the filter is not there either
                    _counted(project, counts, rule, key=f"b_hist_{number}")
            if found.histogram is not None:
                _sorted_by(found.histogram, roots="score_set" in arguments)


def _attributes(project: ProjectDetail) -> tuple[str, ...] | None:
    """Those that get a figure, where there are many; None: all."""
    if len(project.attributes) <= ATTRIBUTES:
        return None
    few = project.attributes[:ATTRIBUTES]
    key = f"b_hist_of_{project.slug}"  # another project has other attributes
    chosen = st.multiselect("Attributes", project.attributes, few, key=key, persist_state="session")
    return tuple(chosen) or tuple(few[:1])


def _counted(project: ProjectDetail, counts: Counts, rule: ExampleFilter, *, key: str) -> None:
    """A figure whose bars set the filter of the same thing."""
    names, pair = project.class_names, partial("{}={}".format, counts.name)
    filters: dict[str, tuple[str, Callable[[str], object], str | None]] = {
        "class": ("b_class", names.index, None if rule.label is None else names[rule.label]),
        "models": ("b_vote", str, {None: None, True: "right", False: "wrong"}[rule.correct]),
        "attribute": ("b_attribute", pair, rule.value if rule.attribute == counts.name else None),
    }
    widget, option, chosen = filters[counts.of]
    chart = charts.counted(counts, chosen=chosen)
    _figure(chart, key, charts.title(counts), "points", partial(_clicked, key, widget, option))


def _clicked(key: str, widget: str, option: Callable[[str], object]) -> None:
    """Filter by the bar, or no longer when that is what the filter says."""
    points = st.session_state[key]["selection"]["points"]
    if points and (value := points[0]["customdata"][0]):  # what is not known is no filter
        wanted = option(value)
        st.session_state[widget] = ANY if st.session_state.get(widget) == wanted else wanted
    st.session_state[TURNS] = st.session_state.get(TURNS, 0) + 1


def _sorted_by(histogram: Histogram, *, roots: bool) -> None:
    name = "T" if roots else "Along the direction"
    chart, key = charts.sorted_by(histogram, name=name, roots=roots), "b_hist_values"
    _figure(chart, key, name, "box", partial(_drawn, key, histogram.edges, roots))


def _drawn(key: str, edges: list[float], roots: bool) -> None:
    """Bound the values by what was drawn over."""
    boxes = st.session_state[key]["selection"]["box"]
    if boxes:
        low, high = charts.bounds(edges, *boxes[-1]["x"], roots=roots)
        st.session_state.update(b_low=low, b_high=high)
    st.session_state[TURNS] = st.session_state.get(TURNS, 0) + 1


def _figure(chart: Chart, key: str, title: str, mode: Mode, on_select: Callable[[], None]) -> None:
    # Another figure after each click, for Streamlit: what was picked in the one before must not be picked in it.
    chart.figure.update_layout(meta=st.session_state.get(TURNS, 0))
    with st.container(width=WIDTH, gap="xsmall"):
        show(chart, key=key, title=title, select=(mode,), on_select=on_select, tools=False)
