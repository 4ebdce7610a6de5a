"""Making and renaming group sets; part of Label."""

from __future__ import annotations

import streamlit as st

from frontend import api, pages
from frontend.components.messages import attempt, shown
from frontend.components.rights import needs
from unskew.schemas.api import GroupSet, GroupSetCreate, GroupSetPatch, ProjectDetail
from unskew.schemas.enums import Role


def rename(project: ProjectDetail, chosen: GroupSet) -> None:
    with st.form(f"rename_{chosen.id}", border=False):
        name = st.text_input("Group set", chosen.name, key=f"rename_{chosen.id}_set", max_chars=100)
        names: list[list[str]] = []
        for label, class_name in enumerate(project.class_names):
            here = sorted((g for g in chosen.groups if g.label == label), key=lambda g: g.index)
            keys = [f"rename_{chosen.id}_{g.id}" for g in here]
            titles = [f"{class_name}, key {g.index + 1}" for g in here]
            names.append([st.text_input(t, g.name, key=k) for t, g, k in zip(titles, here, keys, strict=True)])
        submitted = st.form_submit_button("Save", key=f"rename_{chosen.id}_save", type="primary", **needs(Role.EDITOR))
    if submitted:
        patch = GroupSetPatch(name=name.strip() or chosen.name, group_names=names)
        if attempt(lambda: api.update_group_set(chosen.id, patch), done="Renamed"):
            st.rerun()


def new_set(project: ProjectDetail, prefix: str) -> None:
    sources = ["From scratch by hand", *(f"From attribute {a}" for a in project.attributes)]
    with st.form(f"{prefix}_set", border=False):
        source = st.selectbox("Groups", sources, key=f"{prefix}_source")
        name = st.text_input("Name", key=f"{prefix}_name", placeholder="hand labels")
        names = st.text_input(
            "Group names inside every class",
            "A, B",
            key=f"{prefix}_groups",
            help="Only when you begin from scratch; separate with commas.",
        )
        submitted = st.form_submit_button("Make group set", key=f"{prefix}_make", type="primary", **needs(Role.EDITOR))
    if submitted:
        attribute = source.removeprefix("From attribute ") if source != sources[0] else None
        body = GroupSetCreate(
            name=name.strip() or attribute or "hand labels",
            attribute=attribute,
            group_names=[] if attribute else [n.strip() for n in names.split(",") if n.strip()],
        )
        with shown():
            made = api.create_group_set(project.slug, body)
            pages.go("label", group_set=made.id)
