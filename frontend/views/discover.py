"""Discover: the two ends of every direction, side by side, with the evidence that they mean something."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Literal

import pandas as pd
import streamlit as st

from frontend import address, api, pages
from frontend.components import actions
from frontend.components.code import as_python, code
from frontend.components.messages import attempt, empty, shown
from frontend.components.rights import needs
from frontend.components.shell import require_project
from frontend.components.strip import pictures_of, strip_html
from frontend.views.discover_influence import influence
from frontend.views.discover_scatter import figures, scatter, told_apart
from unskew.charts import format as fmt
from unskew.schemas.api import Direction, DirectionDetail, DirectionPatch, GroupSetCreate, ProjectDetail, Strip
from unskew.schemas.enums import CutRule, DataKind, DirectionState, JobKind, Role, Split, Verdict
from unskew.schemas.params import DiscoverParams

PER_STRIP = 24
LEAST = 2  # validation examples of a class; with fewer there is no direction
VERDICTS = {
    Verdict.STRONG: ("Strong evidence of a bias", "red", ":material/priority_high:"),
    Verdict.POSSIBLE: ("Possible bias", "orange", ":material/help:"),
    Verdict.NONE: ("No sign of a bias", "gray", ":material/remove:"),
}
RANK = {Verdict.STRONG: 0, Verdict.POSSIBLE: 1, Verdict.NONE: 2}


def page() -> None:
    project = require_project()
    st.title("Discover")
    found = api.directions(project.slug)
    if not found:
        _nothing_yet(project)
        return
    chosen = _choose(project, found)
    _evidence_line(chosen)
    _sign(chosen)
    with shown():
        _strips(project, chosen)
    detail = api.direction(chosen.id)
    _toolbar(project, detail, found)
    _differences(detail, project.kind)
    influence(project, detail)
    told = told_apart(project)
    figures(detail, told)
    scatter(project, detail, found, told)


def _nothing_yet(project: ProjectDetail) -> None:
    if not api.attributions(project.slug):
        empty("Nothing to discover yet", "Directions are found in the attribution, and there is none yet.")
        st.button("Go to Models & attribution", key="d_models", type="primary", on_click=pages.go, args=("models",))
        return
    most = max((c.n for c in project.counts if c.split == Split.VALIDATION), default=0)
    if most < LEAST:
        empty(
            "Too few validation examples",
            f"A direction lies between validation examples of one class. No class has more than {most} of them here; "
            "it takes two, and some hundred before a verdict says much.",
        )
        state = {"data_tab": "Import"}
        st.button("Import more", key="d_import", type="primary", on_click=pages.go, args=("data",), kwargs=state)
        return
    empty(
        "No directions yet",
        "Take error-guided and principal directions of each class's block of the attribution. Seconds.",
    )
    if st.button("Find directions", key="d_find", type="primary", icon=":material/explore:", **needs(Role.EDITOR)):
        actions.start(project.slug, JobKind.DISCOVER, DiscoverParams())


# ---------------------------------------------------------------- choosing
def _choose(project: ProjectDetail, found: list[Direction]) -> Direction:
    by_class: dict[int, list[Direction]] = {}
    for direction in sorted(found, key=lambda d: (d.label, d.index)):
        by_class.setdefault(direction.label, []).append(direction)
    order = sorted(by_class, key=lambda label: (_suspicion(by_class[label]), label))  # most suspicious class first
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        address.restore("class", order, order[0])
        label = st.segmented_control(
            "Class",
            order,
            key="class",
            required=True,
            persist_state="session",
            format_func=lambda i: project.class_names[i],
        )
        address.remember("class", label)
        options = {d.title: d for d in by_class[label if label is not None else order[0]]}
        address.restore("direction", list(options), _first_shown(list(options.values())).title)
        name = st.segmented_control(
            "Direction",
            list(options),
            key="direction",
            required=True,
            persist_state="session",
            format_func=lambda title: _direction_label(options[title]),
            help="errors: the direction that the class's badly predicted examples share (error-guided). PC1, PC2 …: "
            "principal directions. Share of the variance of the class's attribution; ● strong evidence, ○ possible.",
        )
        address.remember("direction", name)
    return options[name or next(iter(options))]


def _suspicion(options: list[Direction]) -> tuple[int, float]:
    kept = [d for d in options if d.state != DirectionState.DISCARDED] or options
    best = min(kept, key=lambda d: RANK[d.evidence.verdict])
    return RANK[best.evidence.verdict], -max(d.evidence.accuracy_gap.value for d in kept)


def _first_shown(options: list[Direction]) -> Direction:
    """The first direction with the best verdict; the error-guided one when all are alike."""
    kept = [d for d in options if d.state != DirectionState.DISCARDED] or options
    return min(kept, key=lambda d: (RANK[d.evidence.verdict], d.index))


def _direction_label(direction: Direction) -> str:
    mark = {Verdict.STRONG: " ●", Verdict.POSSIBLE: " ○", Verdict.NONE: ""}[direction.evidence.verdict]
    name = f" {direction.name}" if direction.name else ""
    gone = " (discarded)" if direction.state == DirectionState.DISCARDED else ""
    return f"{direction.title}{name} {fmt.percent(direction.share, 0)}{mark}{gone}"


# ---------------------------------------------------------------- evidence and strips
def _evidence_line(direction: Direction) -> None:
    evidence = direction.evidence
    words, colour, icon = VERDICTS[evidence.verdict]
    if not evidence.accuracy_negative.n + evidence.accuracy_positive.n:
        words = "No verdict"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="evidence"):
        st.badge(words, color=colour, icon=icon)  # type: ignore[arg-type]
        if direction.state == DirectionState.DISCARDED:
            st.badge("discarded", color="gray")
        st.markdown(evidence.sentence, width="stretch")
    if direction.note:
        st.caption(f"Note: {direction.note}")


def _sign(direction: Direction) -> None:
    """The sign stands in the address; a link from before somebody swapped the ends says so."""
    asked, first = st.query_params.get("sign"), "_sign_seen" not in st.session_state
    st.session_state["_sign_seen"] = True
    if first and asked in ("1", "-1") and int(asked) != direction.sign:
        st.info("The two ends were swapped since this link was made: its + end is now the − end.")
    address.remember("sign", direction.sign)


def _strips(project: ProjectDetail, direction: Direction) -> None:
    strips = {(s.strip, s.end): s for s in api.strips(direction.id, n=PER_STRIP, sign=direction.sign)}
    pictures = pictures_of(project.slug, [e for s in strips.values() for e in s.items])
    evidence = direction.evidence
    accuracies = {-1: evidence.accuracy_negative, 1: evidence.accuracy_positive}
    columns = st.columns(2, gap="medium", border=True)
    ends: tuple[Literal[-1, 1], ...] = (-1, 1)
    for column, end in zip(columns, ends, strict=True):
        sign = "−" if end < 0 else "+"
        accuracy = accuracies[end]
        side = "models right: not known"
        if accuracy.n:
            side = f"models right on {fmt.percent(accuracy.value, 0)} of this side"
            side += f" ({fmt.bounds(accuracy)}, n = {fmt.count(accuracy.n)})"
        with column:
            st.html(f'<p class="us-head us-end"><b>{sign} end</b><span>{side}</span></p>')
            here, learned = strips.get(("validation", end)), strips.get(("training", end))
            _one_strip(project, here, "Validation, by projection", f"{sign} end, validation", pictures)
            _one_strip(project, learned, "Training, by loading", f"{sign} end, training", pictures)
    st.caption(
        "**Validation** examples are sorted by their projection on the direction: what the model treats alike. "
        "**Training** examples by their loading: what it learned that from. ✓ right, ✗ wrong by most checkpoints."
    )


def _one_strip(
    project: ProjectDetail, strip: Strip | None, heading: str, label: str, pictures: dict[int, bytes]
) -> None:
    body = strip_html(
        strip.items if strip else [],
        project=project.slug,
        class_names=project.class_names,
        image_size=project.image_size,
        tile=56,
        label=label,
        pictures=pictures,
    )
    st.html(f'<p class="us-head"><span>{escape(heading)}</span></p>{body}')


def _differences(detail: DirectionDetail, kind: DataKind) -> None:
    """What tells the ends apart, in words; where nothing does, it says so."""
    st.markdown("**What tells the ends apart**")
    rows = detail.evidence.differences
    if not rows:
        what = {DataKind.IMAGE: "simple property of the images", DataKind.TEXT: "word", DataKind.TABLE: "column"}
        st.caption(f"No attribute and no {what[kind]} differs between the ends: look at them.")
        return
    table = pd.DataFrame(
        {
            "the + end": [row.words for row in rows],
            "the − end": [row.words_less for row in rows],
            "AUROC": [f"{row.auroc.value:.2f} ({row.auroc.low:.2f} to {row.auroc.high:.2f})" for row in rows],
            "n": [fmt.count(row.auroc.n) for row in rows],
        }
    )
    st.table(table, border="horizontal", hide_index=True, alt="What tells the ends apart, by AUROC")
    st.caption(
        "AUROC, with its 95 % interval: how often an example with more of it lies further towards the + end; 0.5 is no "
        "difference. n: examples on the smaller side. Attributes are read for this table only."
    )


# ---------------------------------------------------------------- deciding
def _toolbar(project: ProjectDetail, detail: DirectionDetail, found: list[Direction]) -> None:
    reviewed = sum(d.state != DirectionState.OPEN for d in found)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="direction_tools"):
        _step_button("Previous", detail.previous_id, found, shortcut="Left", icon=":material/chevron_left:")
        _step_button("Next", detail.next_id, found, shortcut="Right", icon=":material/chevron_right:")
        with st.popover(
            detail.name or "Name it", icon=":material/edit:", key=f"name_box_{detail.id}", **needs(Role.EDITOR)
        ):
            _name_form(detail)
        if st.button(
            "Flip sign",
            key="flip",
            icon=":material/swap_horiz:",
            **needs(Role.EDITOR, help="Swap the − and the + end."),
        ):
            _patch(detail, DirectionPatch(sign=-1 if detail.sign == 1 else 1), "Ends swapped")
        if detail.state == DirectionState.DISCARDED:
            if st.button("Take back", key="restore", icon=":material/undo:", **needs(Role.EDITOR)):
                _patch(detail, DirectionPatch(state=DirectionState.OPEN), "Taken back")
        elif st.button(
            "Discard",
            key="discard",
            icon=":material/block:",
            **needs(Role.EDITOR, help="The ends share nothing that you can name."),
        ):
            _patch(detail, DirectionPatch(state=DirectionState.DISCARDED), "Discarded")
        with st.popover(
            "Make group set", icon=":material/group_add:", type="primary", key="group_set_box", **needs(Role.EDITOR)
        ):
            _group_set_form(project, found, detail)
        flip = DirectionPatch(sign=-1 if detail.sign == 1 else 1)
        python = f"client.update_direction({detail.id}, {as_python(flip)})"
        code(python, "PATCH", f"/directions/{detail.id}", key="d_code", body=flip)
        st.caption(f"{reviewed} of {len(found)} directions reviewed", width="content")


def _step_button(label: str, target: int | None, found: list[Direction], *, shortcut: str, icon: str) -> None:
    st.button(
        label,
        key=f"d_{label.lower()}",
        icon=icon,
        disabled=target is None,
        shortcut=shortcut,
        on_click=_open_direction,
        args=(target, found),
    )


def _open_direction(target: int | None, found: list[Direction]) -> None:
    direction = next((d for d in found if d.id == target), None)
    if direction is not None:
        st.session_state["class"] = direction.label
        st.session_state["direction"] = direction.title


def _name_form(detail: DirectionDetail) -> None:
    with st.form(f"name_form_{detail.id}", border=False):
        name = st.text_input("Name", detail.name, max_chars=100, key=f"name_{detail.id}", placeholder="background")
        note = st.text_area("Note", detail.note, max_chars=10_000, key=f"note_{detail.id}")
        if st.form_submit_button("Save", key=f"name_save_{detail.id}", type="primary"):
            state = DirectionState.NAMED if name.strip() else detail.state
            _patch(detail, DirectionPatch(name=name.strip(), note=note, state=state), "Saved")


def _patch(detail: DirectionDetail, change: DirectionPatch, done: str) -> None:
    if attempt(lambda: api.patch_direction(detail.id, change), done=done):
        st.rerun()


# ---------------------------------------------------------------- groups
def _group_set_form(project: ProjectDetail, found: list[Direction], detail: DirectionDetail) -> None:
    st.caption("A class's validation examples are cut in two along one of its directions; correct them on Label.")
    with st.form("group_set_form", border=False):
        chosen: list[int] = []
        for label in sorted({d.label for d in found}):
            options = [d for d in found if d.label == label]
            preset = detail if detail.label == label else _first_shown(options)
            ids = [d.id for d in options]
            choices: list[int | None] = [*ids, None]
            picked: int | None = st.selectbox(
                f"Class {project.class_names[label]}",
                choices,
                index=ids.index(preset.id),
                key=f"gs_{label}_{preset.id}",
                format_func=partial(_option_name, options),
            )
            chosen += [picked] if picked is not None else []
        cut = st.selectbox("Cut", list(CutRule), format_func=_CUTS.__getitem__, key=f"gs_cut_{detail.id}")
        name = st.text_input("Name", detail.name or "pseudo-groups", key=f"gs_name_{detail.id}")
        submitted = st.form_submit_button("Make group set", key="gs_make", type="primary")
    if submitted:
        if not chosen:
            st.warning("Choose a direction for at least one class.")
            return
        body = GroupSetCreate(name=name.strip() or "groups", direction_ids=chosen, cut=cut)
        with shown():
            made = api.create_group_set(project.slug, body)
            pages.go("label", group_set=made.id)


_CUTS = {
    CutRule.ZERO: "at 0",
    CutRule.GAP: "at the widest gap",
    CutRule.MIXTURE: "between two normal distributions",
    CutRule.ERRORS: "so that as many are on the + side as the model gets wrong",
}


def _option_name(options: list[Direction], direction_id: int | None) -> str:
    direction = next((d for d in options if d.id == direction_id), None)
    return "leave this class out" if direction is None else _direction_label(direction)
