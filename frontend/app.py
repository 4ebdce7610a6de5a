"""Entry of the dashboard: one frame, nine pages. Started by the API server on the same port, or by `streamlit run`."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import streamlit as st

from frontend import api, pages
from frontend.address import BASE
from frontend.components import shell
from frontend.components.inspector import inspector
from frontend.components.keys import foot, keys_asked_for
from frontend.components.messages import show_error
from frontend.components.tile_events import tile_events
from frontend.views import admin, compare, data, discover, jobs, label, models, projects, prune, reports
from unskew.errors import LoginError, UnskewError

HERE = Path(__file__).parent
LOOK = f"<style>{(HERE / 'components' / 'style.css').read_text()}</style><i></i>"
VIEWS = {
    "projects": projects.page,
    "data": data.page,
    "models": models.page,
    "discover": discover.page,
    "label": label.page,
    "prune": prune.page,
    "jobs": jobs.page,
    "compare": compare.page,
    "reports": reports.page,
    "admin": admin.page,
}


def main() -> None:
    """Draw the frame, then the page."""
    try:
        who = api.me()
    except LoginError:
        st.html(f'<p>Your login has ended. <a href="{BASE}/login" target="_self">Log in again</a></p>')
        return
    current = st.navigation(pages.register(VIEWS, admin=who.admin_page), position="top")
    st.set_page_config(page_title=f"{current.title} · Unskew", page_icon=str(HERE / "logo.svg"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large")
    with st.container(key="look"):  # with nothing but a style Streamlit drops it while a page is drawn again
        st.html(LOOK)
    shell.pending_toast()
    path = current.url_path or "projects"
    try:
        shell.header(path)
        project = st.session_state.get("chosen_project")
        if path != "jobs":
            shell.running_line(project.slug if project else None)
        tile_events()  # before the page: its galleries answer clicks as soon as they are seen
        current.run()
        inspector(project)
        keys_asked_for()
        foot()
        _settle(path)
    except UnskewError as error:
        show_error(error)
    except Exception:
        logging.getLogger("unskew.dashboard").exception("drawing %s", path)
        st.error(
            "**This page could not be drawn; that is a mistake of ours.**  \n"
            "The server's log says where. Reload to try again."
        )


@st.cache_resource(show_spinner=False)
def _settle(path: str) -> None:
    """Once for every page: what it has loaded stays, and needs no looking through for garbage any more.

    Streamlit collects garbage after each run of the script, which held up every request meanwhile for 200 ms.
    """
    gc.collect()
    gc.freeze()


with api.whole_run():
    main()
