"""Every key of every page: "?" opens the list, and the foot of each page says so."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontend import api

KEYS = (
    ("everywhere", "?", "this list"),
    ("everywhere", "Tab, Enter", "to a gallery, open the example"),
    ("galleries", "← → ↑ ↓, Home, End", "from example to example"),
    ("an open example", "J, K", "previous, next along its gallery"),
    ("an open example", "Esc", "close"),
    ("Discover", "← →", "previous, next direction"),
    ("Label", "1 to 9, 0", "label with that group, unsure"),
    ("Label", "Enter", "what is shown is right"),
    ("Label", "← → ↑ ↓, S", "move, skip"),
    ("Label", "Space, Shift with arrows, A", "select one, a range, the page"),
    ("Label", "Backspace, Shift + Backspace", "undo, redo"),
    ("Label", "N, P", "next, previous page"),
    ("Label", "F, I, + −", "one large image, look closer, tile size"),
)


def foot() -> None:
    """What stands under every page."""
    version = api.version()
    st.caption(
        f"Press ? for the keys · [API]({api.DOCS}) · Unskew {version.unskew} · nothing is sent to anybody",
    )


def keys_asked_for() -> None:
    """Open the list when "?" was pressed; never over another dialog."""
    if st.session_state.pop("keys", False) and not st.session_state.get("example"):
        st.dialog("Keys")(_list)()


def _list() -> None:
    table = pd.DataFrame(KEYS, columns=["where", "key", "what it does"])
    st.table(table, border="horizontal", hide_index=True, alt="Every key and what it does")
