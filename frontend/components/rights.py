"""Widgets that change something are off for people who may not, and say which role it takes. The API checks anyway."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontend import api
from unskew.schemas.enums import Role


def refusal(needed: Role, *, everywhere: bool = False) -> str:
    """Why whoever looks may not; "" when they may.

    Args:
        everywhere: the role has to hold on the whole server, not in the chosen project alone.
    """
    project = st.session_state.get("chosen_project")
    own = api.role(None if everywhere or project is None else project.slug)
    if own is not None and own.includes(needed):
        return ""
    where = "on this server" if everywhere or project is None else "in this project"
    return f"Needs the role {needed}; you are {own or 'nothing'} {where}. Ask an admin for it."


def needs(needed: Role, *, everywhere: bool = False, disabled: bool = False, help: str | None = None) -> dict[str, Any]:
    """`disabled` and `help` of a widget: `st.button("Score", **needs(Role.EDITOR))`.

    Args:
        disabled, help: what they are for people with the role.
    """
    why = refusal(needed, everywhere=everywhere)
    return {"disabled": True, "help": why} if why else {"disabled": disabled, "help": help}
