"""Clicks on the tiles of any gallery: galleries stay plain HTML, and one invisible component listens to all of them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_KEY = "tile_events"

_COMPONENT = st.components.v2.component(
    "unskew_tile_events",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "tiles.js").read_text(encoding="utf-8"),
)


def tile_events() -> None:
    """Mount the listener once a page; an opened tile becomes `st.session_state["example"]`, "?" becomes `["keys"]`."""
    _COMPONENT(key=_KEY, on_opened_change=lambda: remember_opened(_KEY), on_keys_change=_ask_for_keys)


def _ask_for_keys() -> None:
    st.session_state["keys"] = True


def remember_opened(key: str) -> None:
    """What a component with this key says in its trigger `opened`: {id, around}."""
    opened = getattr(st.session_state.get(key), "opened", None)
    if opened:
        st.session_state["example"] = int(opened["id"])
        st.session_state["example_around"] = [int(i) for i in opened["around"]]
