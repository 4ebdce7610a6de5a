"""The dashboard on the API's own port: Streamlit mounted at "/". Its settings lie beside its entry, in `.streamlit`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse

from unskew.errors import ServerError


def dashboard() -> Any:
    """Streamlit's application; one a process.

    The frontend is found by its place and never imported here: it talks to the API like any other client.
    """
    import streamlit

    found = find_spec("frontend")
    if found is None or not found.submodule_search_locations:
        raise ServerError("The dashboard is not installed.", fix="Install unskew again, or start with ui=False.")
    return streamlit.App(Path(found.submodule_search_locations[0]) / "app.py")


def first_page(request: Request) -> RedirectResponse:
    """`/projects` is `/`: Streamlit serves its first page there only, and says "Page not found" under its own name."""
    return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/", 307)
