"""Label: correct the groups of validation examples by keyboard; every key press is saved at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from frontend import address, api, pages
from frontend.components.code import code
from frontend.components.example import API
from frontend.components.label_grid import GridGroup, label_grid
from frontend.components.messages import attempt, empty
from frontend.components.rights import needs, refusal
from frontend.components.shell import require_project
from frontend.components.strip import SMALL
from frontend.views.label_people import people
from frontend.views.label_plain import plain
from frontend.views.label_sets import new_set, rename
from unskew.charts import format as fmt
from unskew.charts.theme import group_colour
from unskew.schemas.api import Group, GroupSet, GroupSetPatch, ProjectDetail
from unskew.schemas.enums import LabelOrder, Role, Split

ORDERS = {
    LabelOrder.EXTREMES: "extremes first",
    LabelOrder.BOUNDARY: "boundary first",
    LabelOrder.RANDOM: "random",
    LabelOrder.POSITION: "as stored",
    LabelOrder.DISAGREEMENT: "disagreements only",
}


@dataclass(frozen=True)
class Task:
    """What is labelled, in which order, and by whom."""

    group_set: GroupSet
    label: int
    order: LabelOrder
    view: int | None
    only_open: bool
    annotator: str
    alone: bool  # sees own labels only
    blind: bool

    @property
    def adjudicates(self) -> bool:
        return self.order == LabelOrder.DISAGREEMENT

    def query(self) -> dict[str, Any]:
        """As in `GET /group-sets/{id}/queue`."""
        alone = self.alone and not self.adjudicates
        return {
            "label": self.label,
            "order": self.order.value,
            "view": self.view,
            "only_open": self.only_open,
            "annotator": self.annotator if alone else None,
        }


def page() -> None:
    project = require_project()
    st.title("Label")
    sets = api.group_sets(project.slug)
    if not sets:
        _nothing_yet(project)
        return
    task = _choose(project, sets)
    groups = sorted((g for g in task.group_set.groups if g.label == task.label), key=lambda g: g.index)
    _progress(task.group_set)
    if not groups:
        st.info("This group set has no groups in this class.")
        return
    _guidelines(task.group_set)
    locked = refusal(Role.LABELER)
    if locked:
        st.info(f"You may look, not label. {locked}", icon=":material/lock:")
    if st.session_state.get("l_plain"):
        plain(project, task.group_set.id, task.query(), groups, task.annotator, blind=task.blind)
    else:
        label_grid(
            key="label_grid",
            api_base=API,
            project=project.slug,
            group_set_id=task.group_set.id,
            query=task.query(),
            groups=[_key(g, blind=task.blind) for g in groups],
            pixels=project.image_size <= SMALL,
            blind=task.blind,
            annotator=task.annotator,
            adjudicates=task.adjudicates,
            locked=bool(locked),
            on_progress=api.forget,
        )
    _enough(project, task.group_set)
    people(project, task.group_set, task.annotator)
    with st.container(horizontal=True, vertical_alignment="center"):
        number = task.group_set.id
        path = f"/group-sets/{number}/labels"
        body = {"annotator": task.annotator, "labels": [{"key": "my-key-1", "example_id": 1, "group": 0}]}
        write = f'[api.LabelWrite(key="my-key-1", example_id=1, group=0)], annotator="{task.annotator}"'
        code(f"client.write_labels({number}, api.LabelBatch(labels={write}))", "POST", path, key="l_code", body=body)
        pages.link("prune", "Score with these groups", icon=":material/arrow_forward:")


# ---------------------------------------------------------------- choosing
def _choose(project: ProjectDetail, sets: list[GroupSet]) -> Task:
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
        order, view = _queue(project)
        with st.popover("Rename", icon=":material/edit:", key="rename_box", **needs(Role.EDITOR)):
            rename(project, chosen)
        with st.popover("New set", icon=":material/add:", key="new_set_box", **needs(Role.EDITOR)):
            new_set(project, "new")
    only_open, annotator, alone, blind = _ways()
    return Task(chosen, label if label is not None else labels[0], order, view, only_open, annotator, alone, blind)


def _queue(project: ProjectDetail) -> tuple[LabelOrder, int | None]:
    address.restore("order", list(ORDERS), LabelOrder.EXTREMES)
    order = st.selectbox(
        "Order", list(ORDERS), key="order", persist_state="session", format_func=lambda o: ORDERS[o], width=170
    )
    address.remember("order", order)
    views = {v.id: v for v in api.views(project.slug) if v.split == Split.VALIDATION}
    if not views:
        return order, None
    options = [0, *views]
    address.restore("l_view", options, 0)
    view = st.selectbox(
        "Of view", options, key="l_view", format_func=lambda i: views[i].name if i else "every example", width=170
    )
    address.remember("l_view", view)
    return order, view or None


def _ways() -> tuple[bool, str, bool, bool]:
    """How one works: (only unconfirmed, annotator, sees own labels only, blind)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        annotator = st.text_input(
            "Annotator",
            "me",
            key="annotator",
            persist_state="session",
            max_chars=48,
            width=140,
            help="Labels carry it: several people can label the same examples.",
        )
        only_open = st.toggle("Only unconfirmed", key="l_open", persist_state="session")
        alone = st.toggle(
            "Own labels only", key="l_own", persist_state="session", help="You do not see what others said."
        )
        blind = st.toggle(
            "Blind", key="l_blind", persist_state="session", help="Hides suggestions and what the models get wrong."
        )
        st.toggle(
            "Plain widgets", key="l_plain", persist_state="session", help="One example at a time, without the grid."
        )
    return only_open, annotator.strip() or "me", alone, blind


# ---------------------------------------------------------------- beside the task
def _progress(chosen: GroupSet) -> None:
    share = chosen.n_labelled / max(1, chosen.n_total)
    unassigned = f" · {fmt.count(chosen.n_unassigned)} in no group" if chosen.n_unassigned else ""
    text = f"{fmt.count(chosen.n_labelled)} of {fmt.count(chosen.n_total)} confirmed or corrected by hand{unassigned}"
    st.progress(share, text=text)


def _key(group: Group, *, blind: bool) -> GridGroup:
    note = fmt.plural(group.n, "example")
    if group.accuracy is not None:
        note += f" · right on {fmt.percent(group.accuracy.value, 0)} ({fmt.bounds(group.accuracy)})"
    colour = group_colour(group.index)
    return GridGroup(index=group.index, name=group.name, colour=colour, note="" if blind else note)


def _guidelines(chosen: GroupSet) -> None:
    icon = ":material/menu_book:"
    with st.expander("Guidelines", key="l_guide", icon=icon, type="compact", expanded=bool(chosen.guidelines)):
        if chosen.guidelines:
            st.markdown(chosen.guidelines)
        with st.popover("Edit", key="l_guide_box", type="tertiary", icon=":material/edit:", **needs(Role.EDITOR)):
            text = st.text_area("How to decide (Markdown)", chosen.guidelines, key=f"l_guide_{chosen.id}", height=180)
            patch = GroupSetPatch(guidelines=text)
            if st.button("Save guidelines", key="l_guide_save", type="primary") and attempt(
                lambda: api.update_group_set(chosen.id, patch), done="Guidelines saved"
            ):
                st.rerun()


def _enough(project: ProjectDetail, chosen: GroupSet) -> None:
    """Progress of every class × group, and how many labels are missing before its accuracy is known."""
    with st.expander(
        "Progress by group: enough labels?",
        key="l_enough",
        icon=":material/rule:",
        type="compact",
        on_change="rerun",  # a closed table would hold the grid up while the browser loads what draws tables
    ) as box:
        if not box.open:
            return
        rows = [
            {
                "Class": project.class_names[g.label],
                "Group": g.name,
                "Examples": fmt.count(g.n),
                "By hand": fmt.count(g.n_by_hand),
                "Models right, by hand": fmt.interval(g.accuracy_by_hand) if g.accuracy_by_hand else "–",
                "Enough?": _hint(g),
            }
            for g in chosen.groups
        ]
        st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Labels by class and group")
        st.caption("Enough: the models' accuracy on the group is known to ± 10 points at 95%, from 20 labels at least.")


def _hint(group: Group) -> str:
    if group.more_needed is None:
        return "needs a checkpoint"
    return "enough" if group.more_needed == 0 else f"about {fmt.count(group.more_needed)} more"


def _nothing_yet(project: ProjectDetail) -> None:
    empty(
        "No group set yet", "A group set says which group each validation example belongs to.", icon=":material/label:"
    )
    if api.directions(project.slug):
        st.button("Make one from a direction", key="l_discover", type="primary", on_click=pages.go, args=("discover",))
        st.markdown("Or begin without a direction:")
    with st.container(border=True, width=520):
        new_set(project, "first")
