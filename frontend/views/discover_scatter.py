"""Discover, below the strips: scatter of two directions with lasso, and what to do with the examples inside it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import streamlit as st

from frontend import address, api, pages
from frontend.components.code import as_python, code
from frontend.components.messages import attempt, shown
from frontend.components.rights import needs
from frontend.components.show import picked_in, show
from frontend.components.strip import strip
from unskew.charts import directions as charts
from unskew.charts import format as fmt
from unskew.schemas.api import (
    Direction,
    DirectionDetail,
    GroupSet,
    GroupSetCreate,
    LabelWrite,
    ProjectDetail,
    ViewCreate,
)
from unskew.schemas.enums import Role

SHOWN = 60


@dataclass(frozen=True)
class Told:
    """What points and bars are told apart by."""

    title: str
    attribute: str | None = None
    group_set: int | None = None
    version: int = 0


def told_apart(project: ProjectDetail) -> Told:
    """The control; right and wrong come first."""
    known = {"right": Told("right and wrong")}
    known |= {f"attribute.{a}": Told(f"attribute {a}", attribute=a) for a in project.attributes}
    known |= {
        f"set.{s.id}": Told(f"groups of “{s.name}”", group_set=s.id, version=s.version)
        for s in api.group_sets(project.slug)
    }
    address.restore("by", list(known), "right")
    chosen = st.selectbox(
        "Tell apart by", list(known), key="by", persist_state="session", format_func=lambda k: known[k].title, width=260
    )
    address.remember("by", chosen)
    return known[chosen]


def figures(detail: DirectionDetail, told: Told) -> None:
    """Histogram of one direction and scree of its class."""
    left, right = st.columns(2, gap="large")
    with left, shown():
        histogram = api.histogram(
            detail.id, sign=detail.sign, attribute=told.attribute, group_set=told.group_set, version=told.version
        )
        show(
            charts.projections(histogram, ends=("− end", "+ end")),
            key="projections",
            title=f"{told.title.capitalize()} along it",
        )
    with right:
        show(charts.scree(detail), key="scree", title=f"Directions of class {detail.label_name}")


def scatter(project: ProjectDetail, detail: DirectionDetail, found: list[Direction], told: Told) -> None:
    """Two directions, a lasso, and the examples inside it; a fragment, so that a lasso redraws nothing else."""
    others = [d for d in found if d.label == detail.label and d.id != detail.id]
    if others:
        st.fragment(_scatter)(project, detail, others, told)


def _scatter(project: ProjectDetail, detail: DirectionDetail, others: list[Direction], told: Told) -> None:
    st.subheader("Two directions")
    by_id = {d.id: d for d in others}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.restore("other", list(by_id), others[0].id)
        other_id = st.selectbox(
            "Against", list(by_id), key="other", format_func=lambda i: charts.direction_name(by_id[i]), width=240
        )
        address.remember("other", other_id)
        st.caption("Draw around examples to see them, and to keep them as a view or as groups.", width="content")
    left, right = st.columns([3, 2], gap="large")
    other = by_id[other_id]
    key = f"scatter_{detail.id}_{other.id}_{detail.sign}{other.sign}_{st.session_state.get('by')}"
    with right:  # first: whoever has drawn a lasso waits for what is inside it, not for the same figure again
        _selection(project, detail, picked_in(key))
    with left, shown():
        points = api.scatter(
            detail.id,
            other=other.id,
            signs=(detail.sign, other.sign),
            attribute=told.attribute,
            group_set=told.group_set,
            version=told.version,
        )
        names = (charts.direction_name(detail), charts.direction_name(other))
        show(charts.scatter(points, names=names), key=key, select=("lasso", "box"))


def _selection(project: ProjectDetail, detail: DirectionDetail, picked: list[int]) -> None:
    if not picked:
        st.info("Nothing is selected. Use the lasso or the box of the figure.", icon=":material/gesture:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input("Name", f"{detail.label_name} selection", key="view_name", max_chars=100, width=200)
        body = ViewCreate(name=name.strip() or "selection", example_ids=picked)
        if st.button(
            "Save as view", key="view_save", type="primary", icon=":material/bookmark_add:", **needs(Role.LABELER)
        ) and attempt(lambda: api.create_view(project.slug, body), done=f"View “{body.name}” saved"):
            st.rerun()
        if st.button(
            "Make groups",
            key="view_groups",
            icon=":material/group_add:",
            **needs(Role.EDITOR, help="Inside and outside."),
        ):
            _as_groups(project, body)
        _label_box(project, detail, picked)
        code(
            f'client.create_view("{project.slug}", {as_python(body)})',
            "POST",
            f"/projects/{project.slug}/views",
            key="view_code",
            body=body,
        )

    with shown():
        strip(
            api.examples_by_id(project.slug, tuple(picked[:SHOWN])),
            project=project.slug,
            class_names=project.class_names,
            image_size=project.image_size,
            heading=fmt.plural(len(picked), "example"),
            note=f"the first {SHOWN} are shown" if len(picked) > SHOWN else "",
            tile=56,
            show_value=False,
        )


def _as_groups(project: ProjectDetail, body: ViewCreate) -> None:
    with shown():
        known = next((v for v in api.views(project.slug) if v.name == body.name), None)
        view = known or api.create_view(project.slug, body)
        made = api.create_group_set(project.slug, GroupSetCreate(name=body.name, view_id=view.id))
        pages.go("label", group_set=made.id)


def _label_box(project: ProjectDetail, detail: DirectionDetail, picked: list[int]) -> None:
    """All of the selection into one group of a set that exists."""
    sets = [s for s in api.group_sets(project.slug) if any(g.label == detail.label for g in s.groups)]
    if not sets:
        return
    with st.popover("Label all", icon=":material/label:", key="label_all_box", **needs(Role.LABELER)):
        chosen: GroupSet = st.selectbox("Group set", sets, key="label_all_set", format_func=lambda s: s.name)
        groups = [g for g in chosen.groups if g.label == detail.label]
        group = st.selectbox("Group", groups, key="label_all_group", format_func=lambda g: g.name)
        st.caption(f"One undo on Label takes all {fmt.count(len(picked))} back.")
        if st.button("Label them", key="label_all_go", type="primary"):
            gesture = uuid.uuid4().hex[:16]
            writes = [
                LabelWrite(key=f"{gesture}:{i}", example_id=example_id, group=group.index)
                for i, example_id in enumerate(picked)
            ]
            if attempt(lambda: api.write_labels(chosen.id, writes), done=f"{fmt.count(len(writes))} labels saved"):
                st.rerun()
