"""Where people log in, in a real browser: nobody sees anything before, and everybody may what their role says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from browser_screen import Screen, Server, copied, serving
from test_pages import violations

from backend.services import accounts
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import Role

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def manned(server: Server, ready: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a restored backup of the prepared house, with an admin, an editor and a viewer."""
    folder = tmp_path_factory.mktemp("manned")
    copied(server, folder)
    with closing(Store.open(folder / "data")) as store:
        for name, role in (("boss", Role.ADMIN), ("eve", Role.EDITOR), ("vera", Role.VIEWER)):
            accounts.add_user(store, api.UserCreate(name=name, password=PASSWORD, role=role))
    with serving(folder / "data", "--no-worker") as running:
        yield running


@pytest.fixture
def page(browser: Any, manned: Server) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def log_in(page: Any, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_nobody_sees_anything_without_a_login(manned: Server, ready: str, server: Server) -> None:
    example = server.api.examples(ready, limit=1).items[0].id
    report = server.api.reports(ready)[0].id
    for path in (
        "/api/v1/projects",
        f"/api/v1/projects/{ready}/examples/{example}/image",
        f"/api/v1/projects/{ready}/examples/{example}/thumbnail",
        f"/api/v1/reports/{report}/download",
        "/_stcore/stream",
        "/media/x.png",
        "/discover",
    ):
        assert httpx.get(manned.url + path).status_code in (401, 303), path
    assert httpx.get(f"{manned.url}/discover", headers={"Accept": "text/html"}).headers["location"].startswith("/login")


@pytest.mark.parametrize("path", ["projects", "label"])
def test_after_the_login_one_is_where_one_wanted_to_go(page: Any, manned: Server, ready: str, path: str) -> None:
    screen = Screen(page, manned.url)
    page.goto(f"{manned.url}/{path}?project={ready}")
    assert "/login?next=" in page.url
    assert violations(page) == []
    log_in(page, "boss")
    screen.idle()
    title = {"projects": "Projects", "label": "Label"}[path]
    page.get_by_role("heading", name=title, exact=True).wait_for()
    assert page.get_by_role("dialog").count() == 0
    screen.see("boss · admin")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_viewer_reads_why_a_button_is_off(page: Any, manned: Server, ready: str, server: Server) -> None:
    screen = Screen(page, manned.url)
    page.goto(f"{manned.url}/discover?project={ready}")
    log_in(page, "vera")
    screen.idle()
    flip = page.locator(".st-key-flip button").first
    flip.wait_for()
    assert flip.is_disabled()
    flip.hover(force=True)
    screen.see("Needs the role editor; you are viewer in this project.")
    group_set = next(s.id for s in server.api.group_sets(ready) if s.name == "sides")
    screen.open(f"label?project={ready}&group_set={group_set}")
    page.locator(".tile.current").wait_for()
    screen.see("You may look, not label.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.keyboard.press("1")
    page.keyboard.press("Backspace")
    page.locator(".keys button").first.wait_for()
    assert page.locator(".keys button").first.is_disabled()
    assert "POST" not in asked
    screen.open(f"models?project={ready}")
    assert page.get_by_text("Admin", exact=True).count() == 0


def test_an_editor_changes_what_a_viewer_may_not(page: Any, manned: Server, ready: str) -> None:
    screen = Screen(page, manned.url)
    page.goto(f"{manned.url}/discover?project={ready}")
    log_in(page, "eve")
    screen.idle()
    screen.press_button("flip")
    screen.see("Ends swapped")
    screen.open("data?data_tab=Import")
    assert page.locator(".st-key-i_import button").first.is_disabled()


def test_admin_page_with_people_is_accessible(page: Any, manned: Server) -> None:
    screen = Screen(page, manned.url)
    page.goto(f"{manned.url}/admin")
    log_in(page, "boss")
    screen.idle()
    page.get_by_role("tab", name="People").wait_for()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_logging_out_closes_the_door(page: Any, manned: Server) -> None:
    screen = Screen(page, manned.url)
    page.goto(f"{manned.url}/")
    log_in(page, "boss")
    screen.idle()
    page.get_by_text("Log out").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(f"{manned.url}/models")
    assert "/login?next=" in page.url
