"""The pages and how steps, links and addresses lead to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import Page as StreamlitPage


@dataclass(frozen=True)
class Place:
    """A page: where it lies, what it is called, what it is for."""

    path: str
    title: str
    help: str
    in_header: bool = False


PLACES: tuple[Place, ...] = (
    Place("projects", "Projects", "Every project and where it stands.", in_header=True),
    Place("data", "Data", "Import, check and browse examples; counts per class and attribute."),
    Place("models", "Models & attribution", "ERM checkpoints and what they learned from."),
    Place("discover", "Discover", "What the model relies on: the two ends of every direction."),
    Place("label", "Label", "Correct the groups of validation examples by keyboard."),
    Place("prune", "Score & prune", "Which training examples hurt the worst groups."),
    Place("jobs", "Jobs", "Retrain, and follow what runs.", in_header=True),
    Place("compare", "Compare", "Every method before and after, per group."),
    Place("reports", "Reports", "Freeze a report, share it, download it."),
    Place("admin", "Admin", "People, tokens, and who changed what.", in_header=True),
)
STEP_PAGE: dict[str, str] = {
    "data": "data",
    "models": "models",
    "attribution": "models",
    "discover": "discover",
    "label": "label",
    "prune": "prune",
    "retrain": "jobs",
    "compare": "compare",
    "report": "reports",
}


def register(views: dict[str, Callable[[], None]], *, admin: bool) -> list[StreamlitPage]:
    """Make Streamlit's pages; called once a run by the entry. Kept in the session: a page object belongs to one.

    Args:
        admin: whether the Admin page is for whoever looks.

    They get no icon: Streamlit would fetch it from the network as the tab's icon.
    """
    made = {
        place.path: st.Page(
            views[place.path],
            title=place.title,
            url_path=place.path,
            help=place.help,
            default=place.path == "projects",
            visibility="visible" if place.in_header else "hidden",
        )
        for place in PLACES
        if admin or place.path != "admin"
    }
    st.session_state["_pages"] = made
    return list(made.values())


def page(path: str) -> StreamlitPage:
    """The Streamlit page at this address."""
    pages: dict[str, StreamlitPage] = st.session_state["_pages"]
    return pages[path]


def go(path: str, **state: object) -> NoReturn:
    """Open another page of the same project with some of its widgets set, by their keys."""
    for key, value in state.items():
        st.session_state[key] = value
    st.switch_page(page(path), query_params=_kept())


def link(path: str, label: str, *, icon: str | None = None, help: str | None = None) -> None:
    """A link to another page of the same project."""
    st.page_link(page(path), label=label, icon=icon, help=help, query_params=_kept())


def _kept() -> dict[str, str]:
    """What every page of a project has in its address."""
    slug = st.session_state.get("project")
    return {"project": slug} if slug else {}
