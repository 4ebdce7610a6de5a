"""Labelling with plain widgets: one example at a time, for where the grid does not work; same API, same keys."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from frontend import api
from frontend.components.inspector import large
from frontend.components.messages import attempt
from frontend.components.rights import needs
from unskew.schemas.api import Group, LabelItem, LabelWrite, ProjectDetail
from unskew.schemas.enums import Role


def plain(
    project: ProjectDetail,
    group_set_id: int,
    query: dict[str, Any],
    groups: list[Group],
    annotator: str,
    *,
    blind: bool,
) -> None:
    """The example at the place one has reached, and a button a group."""
    signature = (group_set_id, repr(query))
    state = st.session_state.setdefault("plain", {"signature": signature, "cursors": [None]})
    if state["signature"] != signature:
        state.update(signature=signature, cursors=[None])
    queue = api.label_queue(group_set_id, after=state["cursors"][-1], limit=1, **query)
    if not queue.items:
        st.info("Nothing left to label here.")
        return
    item = queue.items[0]
    left, right = st.columns([1, 2])
    with left:
        st.html(large(project, item.example, 256))
    may = needs(Role.LABELER)
    with right:
        _state(item, groups, blind=blind)
        for group in groups:
            if st.button(group.name, key=f"plain_{group.index}", shortcut=str(group.index + 1), **may):
                _write(group_set_id, item, group.index, annotator, queue.next)
        if st.button("Unsure", key="plain_unsure", shortcut="0", **may):
            _write(group_set_id, item, None, annotator, queue.next)
        with st.container(horizontal=True):
            if st.button("Back", key="plain_back", shortcut="Left", disabled=len(state["cursors"]) < 2):
                state["cursors"].pop()
                st.rerun()
            if st.button("Skip", key="plain_skip", shortcut="Right", disabled=queue.next is None):
                state["cursors"].append(queue.next)
                st.rerun()
            if st.button("Undo", key="plain_undo", shortcut="Backspace", **may) and attempt(
                lambda: api.undo_label(group_set_id, annotator), done="Undone"
            ):
                if len(state["cursors"]) > 1:
                    state["cursors"].pop()
                st.rerun()


def _state(item: LabelItem, groups: list[Group], *, blind: bool) -> None:
    shows = item.by_hand or not blind
    name = next((g.name for g in groups if shows and g.index == item.group), "no group")
    st.markdown(f"**{name}**{' (by hand)' if item.by_hand else ''}")
    if not blind and item.example.correct_share is not None and item.example.correct_share < 0.5:
        st.caption("✗ the models get this one wrong")


def _write(group_set_id: int, item: LabelItem, group: int | None, annotator: str, following: str | None) -> None:
    label = LabelWrite(key=uuid.uuid4().hex, example_id=item.example.id, group=group)
    if attempt(lambda: api.write_labels(group_set_id, [label], annotator=annotator)):
        if following is not None:
            st.session_state["plain"]["cursors"].append(following)
        st.rerun()
