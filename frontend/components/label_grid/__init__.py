"""The labelling grid: one small component of our own that writes each key press straight to the API.

It pages through a group set's queue by itself, so that neither a key press nor a page turn waits for a Streamlit rerun;
Python learns through the trigger `progress` when there is something new to count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

import streamlit as st

_FOLDER = Path(__file__).parent


class GridGroup(TypedDict):
    """One key of the grid: group index within the class, its name and colour, and what is known of it."""

    index: int
    name: str
    colour: str
    note: str


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_COMPONENT = st.components.v2.component(
    "unskew_label_grid",
    html=_read("grid.html"),
    css=_read("grid.css"),
    js=_read("sender.js", "example.js", "grid.js"),
)


def label_grid(
    *,
    key: str,
    api_base: str,
    project: str,
    group_set_id: int,
    label: int,
    order: str,
    only_open: bool,
    groups: Sequence[GridGroup],
    pixels: bool,
    page_size: int = 60,
    annotator: str = "me",
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Mount the grid for one class of one group set.

    Args:
        key: Streamlit key; one grid a page.
        api_base: same-origin prefix of the API, "/api/v1".
        label: class whose validation examples are labelled.
        order, only_open: the queue, as in `GET /group-sets/{id}/queue`.
        groups: at most nine, in the order of their keys 1–9.
        pixels: draw thumbnails without smoothing (small images).
        on_progress: called after labels were saved or a page was turned.
    """
    identity = f"{group_set_id}:{label}:{order}:{only_open}:{page_size}:{annotator}:{[g['name'] for g in groups]}"
    _COMPONENT(
        key=key,
        data={
            "identity": identity,
            "base": api_base,
            "project": project,
            "groupSet": group_set_id,
            "label": label,
            "order": order,
            "onlyOpen": only_open,
            "pageSize": page_size,
            "annotator": annotator,
            "groups": list(groups)[:9],
            "pixels": pixels,
        },
        on_progress_change=on_progress,
    )
