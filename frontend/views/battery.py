"""The battery on the Jobs page: every method against every other, counted and timed before it starts."""

from __future__ import annotations

import streamlit as st

from frontend import api, pages
from frontend.components import actions
from frontend.components.rights import needs
from unskew.charts import format as fmt
from unskew.charts.theme import method_name
from unskew.schemas.api import BatteryPlan, ProjectDetail
from unskew.schemas.enums import JobKind, Method, Role
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import BatteryParams


def battery(project: ProjectDetail) -> None:
    """A form, and what it would cost."""
    box = st.expander(
        "Battery: every method, all controls", key="battery_box", icon=":material/trophy:", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        if not any(step.key == "discover" and step.done for step in project.steps):
            st.markdown("Discover directions first: the auto methods need them.")
            st.button("Go to Discover", key="b_discover", type="primary", on_click=pages.go, args=("discover",))
            return
        _form(project)


def _form(project: ProjectDetail) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        attribute = None
        if project.attributes:
            attribute = st.selectbox("Attribute for methods with labels", project.attributes, key="b_attr", width=260)
        seeds = actions.seeds_input("Seeds", key="b_seeds", default=5)
        search = actions.seeds_input("Seeds of K*", key="b_search", default=3, help="Of each search for K*.")
    offered = api.battery_plan(project.slug, BatteryParams(group_attribute=attribute))
    methods = st.pills(
        "Methods",
        [m for m in offered.methods if not RECIPES[m].control],
        selection_mode="multi",
        default=[m for m in offered.methods if not RECIPES[m].control],
        key=f"b_methods_{attribute}",
        format_func=method_name,
        help="Controls always run: ERM, the same K at random, groups by the loss alone, last layer on validation.",
    )
    params = BatteryParams(methods=list(methods), seeds=seeds, search_seeds=search, group_attribute=attribute)
    plan = api.battery_plan(project.slug, params)
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button(
            "Run battery",
            key="b_go",
            type="primary",
            icon=":material/play_arrow:",
            **needs(Role.EDITOR, disabled=not methods),
        )
        st.caption(_words(plan), width="content")
    left_out = [f"{method_name(m)} {why}" for m, why in offered.left_out.items()]
    if left_out:
        st.caption(f"Left out: {'; '.join(left_out)}.")
    if clicked:
        actions.start(project.slug, JobKind.BATTERY, params)


def _words(plan: BatteryPlan) -> str:
    controls = sum(RECIPES[Method(m)].control for m in plan.methods)
    time = "" if plan.seconds is None else f", about {fmt.seconds(plan.seconds)}"
    return (
        f"{len(plan.methods) - controls} methods + {controls} controls × {fmt.plural(len(plan.seeds), 'seed')}: "
        f"{fmt.plural(plan.n_runs, 'training')}, {fmt.count(plan.n_searches)} of them to find K*{time}. Stored "
        "ones are not repeated; it can be stopped and resumed."
    )
