"""The labelling grid: one small component of our own that writes each key press straight to the API.

It pages through a group set's queue by itself, so that neither a key press nor a page turn waits for a Streamlit rerun;
Python learns through the trigger `progress` when there is something new to count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import streamlit as st

from frontend.components.tile_events import remember_opened

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
    js=_read("sender.js", "example.js", "draw.js", "grid.js"),
)


def label_grid(
    *,
    key: str,
    api_base: str,
    project: str,
    group_set_id: int,
    query: dict[str, Any],
    groups: Sequence[GridGroup],
    pixels: bool,
    blind: bool = False,
    page_size: int = 60,
    annotator: str = "me",
    adjudicates: bool = False,
    locked: bool = False,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Mount the grid for one class of one group set.

    Args:
        key: Streamlit key; one grid a page.
        api_base: same-origin prefix of the API, "/api/v1".
        query: the queue, as in `GET /group-sets/{id}/queue`; what is None is left out.
        groups: at most nine, in the order of their keys 1–9.
        pixels: draw thumbnails without smoothing (small images).
        blind: show neither suggestions nor what the models get wrong.
        adjudicates: the labels decide between annotators.
        locked: for looking only; keys that label do nothing.
        on_progress: called after labels were saved.
    """
    asked = {name: _word(value) for name, value in query.items() if value is not None}
    names = [g["name"] for g in groups]
    identity = f"{group_set_id}:{asked}:{page_size}:{annotator}:{adjudicates}:{locked}:{blind}:{names}"
    _COMPONENT(
        key=key,
        data={
            "identity": identity,
            "base": api_base,
            "project": project,
            "groupSet": group_set_id,
            "query": asked,
            "pageSize": page_size,
            "annotator": annotator,
            "adjudicates": adjudicates,
            "locked": locked,
            "blind": blind,
            "groups": list(groups)[:9],
            "pixels": pixels,
        },
        on_progress_change=on_progress,
        on_opened_change=lambda: remember_opened(key),
    )


def _word(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
