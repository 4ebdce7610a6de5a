"""Label: correct the groups of validation examples by keyboard; every key press is saved at once."""

from __future__ import annotations

import streamlit as st

from frontend import address, api, pages
from frontend.components.example import API
from frontend.components.label_grid import GridGroup, label_grid
from frontend.components.messages import attempt, empty, shown
from frontend.components.shell import require_project
from frontend.components.strip import SMALL
from unskew.charts import format as fmt
from unskew.charts.theme import group_colour
from unskew.schemas.api import Group, GroupSet, GroupSetCreate, GroupSetPatch, ProjectDetail
from unskew.schemas.enums import LabelOrder

ORDERS = {
    LabelOrder.EXTREMES: "extremes first",
    LabelOrder.BOUNDARY: "boundary first",
    LabelOrder.RANDOM: "random",
    LabelOrder.POSITION: "as stored",
}


def page() -> None:
    project = require_project()
    st.title("Label")
    sets = api.group_sets(project.slug)
    if not sets:
        _nothing_yet(project)
        return
    chosen, label, order, only_open = _choose(project, sets)
    groups = sorted((g for g in chosen.groups if g.label == label), key=lambda g: g.index)
    _progress(chosen)
    if not groups:
        st.info("This group set has no groups in this class.")
        return
    label_grid(
        key="label_grid",
        api_base=API,
        project=project.slug,
        group_set_id=chosen.id,
        label=label,
        order=order.value,
        only_open=only_open,
        groups=[_key(g) for g in groups],
        pixels=project.image_size <= SMALL,
        on_progress=api.forget,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.link_button(
            "CSV", f"{API}/group-sets/{chosen.id}/export?format=csv", key="l_csv", icon=":material/download:"
        )
        st.link_button(
            "JSON Lines", f"{API}/group-sets/{chosen.id}/export?format=jsonl", key="l_json", icon=":material/download:"
        )
        pages.link("prune", "Score with these groups", icon=":material/arrow_forward:")


def _choose(project: ProjectDetail, sets: list[GroupSet]) -> tuple[GroupSet, int, LabelOrder, bool]:
    by_id = {s.id: s for s in sets}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        address.restore("group_set", list(by_id), sets[0].id)
        set_id = st.selectbox(
            "Group set",
            list(by_id),
            key="group_set",
            persist_state="session",
            format_func=lambda i: f"{by_id[i].name} · {by_id[i].source} · v{by_id[i].version}",
            width=240,
        )
        address.remember("group_set", set_id)
        chosen = by_id.get(set_id, sets[0])
        labels = sorted({g.label for g in chosen.groups}) or list(range(len(project.class_names)))
        address.restore("class", labels, labels[0])
        label = st.segmented_control(
            "Class",
            labels,
            key="class",
            required=True,
            persist_state="session",
            format_func=lambda i: project.class_names[i],
        )
        address.remember("class", label)
        address.restore("order", list(ORDERS), LabelOrder.EXTREMES)
        order = st.selectbox(
            "Order", list(ORDERS), key="order", persist_state="session", format_func=lambda o: ORDERS[o], width=150
        )
        address.remember("order", order)
        only_open = st.toggle("Only unconfirmed", key="l_open", persist_state="session")
        with st.popover("Rename", icon=":material/edit:", key="rename_box"):
            _rename(project, chosen)
        with st.popover("New set", icon=":material/add:", key="new_set_box"):
            _new_set(project, "new")
    return chosen, label if label is not None else labels[0], order, only_open


def _progress(chosen: GroupSet) -> None:
    share = chosen.n_labelled / max(1, chosen.n_total)
    unassigned = f" · {fmt.count(chosen.n_unassigned)} in no group" if chosen.n_unassigned else ""
    text = f"{fmt.count(chosen.n_labelled)} of {fmt.count(chosen.n_total)} confirmed or corrected by hand{unassigned}"
    st.progress(share, text=text)


def _key(group: Group) -> GridGroup:
    note = fmt.plural(group.n, "example")
    if group.accuracy is not None:
        note += f" · right on {fmt.percent(group.accuracy.value, 0)} ({fmt.bounds(group.accuracy)})"
    return GridGroup(index=group.index, name=group.name, colour=group_colour(group.index), note=note)


def _rename(project: ProjectDetail, chosen: GroupSet) -> None:
    with st.form(f"rename_{chosen.id}", border=False):
        name = st.text_input("Group set", chosen.name, key=f"rename_{chosen.id}_set", max_chars=100)
        names: list[list[str]] = []
        for label, class_name in enumerate(project.class_names):
            here = sorted((g for g in chosen.groups if g.label == label), key=lambda g: g.index)
            keys = [f"rename_{chosen.id}_{g.id}" for g in here]
            titles = [f"{class_name}, key {g.index + 1}" for g in here]
            names.append([st.text_input(t, g.name, key=k) for t, g, k in zip(titles, here, keys, strict=True)])
        submitted = st.form_submit_button("Save", key=f"rename_{chosen.id}_save", type="primary")
    if submitted:
        patch = GroupSetPatch(name=name.strip() or chosen.name, group_names=names)
        if attempt(lambda: api.update_group_set(chosen.id, patch), done="Renamed"):
            st.rerun()


def _nothing_yet(project: ProjectDetail) -> None:
    empty(
        "No group set yet", "A group set says which group each validation example belongs to.", icon=":material/label:"
    )
    if api.directions(project.slug):
        st.button("Make one from a direction", key="l_discover", type="primary", on_click=pages.go, args=("discover",))
    st.markdown("Or begin without a direction:")
    with st.container(border=True, width=520):
        _new_set(project, "first")


def _new_set(project: ProjectDetail, prefix: str) -> None:
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
        submitted = st.form_submit_button("Make group set", key=f"{prefix}_make", type="primary")
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
