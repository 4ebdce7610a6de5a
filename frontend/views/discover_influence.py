"""Discover: what the models learned an end, or a whole group, from: its proponents and opponents."""

from __future__ import annotations

import streamlit as st

from frontend import api
from frontend.components.code import code
from frontend.components.inspector import influence_strips
from frontend.components.messages import shown
from unskew.schemas.api import DirectionDetail, ProjectDetail

N = 16


def influence(project: ProjectDetail, detail: DirectionDetail) -> None:
    """A control for the target, and both galleries; computed when the box is opened."""
    with st.expander(
        "Proponents and opponents", key="d_influence", icon=":material/compare_arrows:", on_change="rerun"
    ) as box:
        if box.open:
            with shown():
                _body(project, detail)


def _body(project: ProjectDetail, detail: DirectionDetail) -> None:
    targets: dict[str, tuple[int, int, int]] = {"− end": (0, -1, 0), "+ end": (0, 1, 0)}
    for group_set in api.group_sets(project.slug):
        for group in group_set.groups:
            if group.label == detail.label and group.n:
                targets[f"{group.name} (in “{group_set.name}”)"] = (group_set.id, group.id, group_set.version)
    name = st.selectbox("Of", list(targets), key="d_influence_of", width=360)
    group_set_id, which, version = targets[name]
    if group_set_id:
        found = api.group_influence(group_set_id, group=which, version=version, n=N)
        call, path = (
            f"client.group_influence({group_set_id}, group={which})",
            f"/group-sets/{group_set_id}/influence?group={which}",
        )
    else:
        found = api.end_influence(detail.id, end=which, sign=detail.sign, n=N)
        call, path = f"client.end_influence({detail.id}, end={which})", f"/directions/{detail.id}/influence?end={which}"
    influence_strips(project, found)
    code(call, "GET", path, key="d_influence_code")
