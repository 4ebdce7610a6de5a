"""Permalinks: the address says what is chosen on a page, so that a copied address restores it for a colleague.

`restore` runs just before a widget, `remember` just after it; widget key and parameter have the same name.
Streamlit's own binding is not used: it writes labels as people see them (shares and verdicts included), and forgets
them on links.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

T = TypeVar("T")
BASE = os.environ.get("UNSKEW_BASE_PATH", "")  # below which a browser finds the server, such as "/unskew"
_WRITTEN = "_address"  # what this session wrote last, to tell a browser's back button from its own writes


def restore(key: str, options: Sequence[T], default: T) -> None:
    """Set the widget from the address when the address changed; from `default` when its value is not an option."""
    written: dict[str, str] = st.session_state.setdefault(_WRITTEN, {})
    asked = st.query_params.get(key)
    by_token = {str(option): option for option in options}
    if asked is not None and asked != written.get(key) and asked in by_token:
        st.session_state[key] = by_token[asked]
    elif key not in st.session_state or st.session_state[key] not in options:
        st.session_state[key] = default


def kept(key: str, value: T) -> T:
    """Remember the value and give it back."""
    remember(key, value)
    return value


def restore_number(key: str) -> None:
    """Set a number widget from the address when the address changed; what is no number counts as none."""
    written: dict[str, str] = st.session_state.setdefault(_WRITTEN, {})
    asked = st.query_params.get(key)
    if asked is not None and asked != written.get(key):
        try:
            st.session_state[key] = float(asked)
        except ValueError:
            st.session_state[key] = None


def remember(key: str, value: object) -> None:
    """Write the widget's value into the address; nothing for None."""
    if value is None:
        st.session_state.setdefault(_WRITTEN, {}).pop(key, None)
        st.query_params.pop(key, None)
        return
    token = str(value)
    st.session_state.setdefault(_WRITTEN, {})[key] = token
    if st.query_params.get(key) != token:
        st.query_params[key] = token


def home() -> str:
    """Address of the server as the browser sees it."""
    return "/".join((st.context.url or "http://127.0.0.1:8501").split("/")[:3]) + BASE


def unknown(key: str, options: Sequence[object]) -> str | None:
    """What the address asks for, when there is no such thing."""
    asked = st.query_params.get(key)
    return asked if asked is not None and asked not in {str(option) for option in options} else None
