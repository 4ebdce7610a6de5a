"""Every page in a real browser: accessible (axe-core), within the window, usable by keyboard, asking nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_screen import Screen, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")
TABS = ("data", "data?data_tab=Browse", "data?data_tab=Browse&b_hist=True", "data?data_tab=Import")
PAGES = ("projects", *TABS, "models", "discover", "label", "prune", "jobs", "compare", "reports", "admin")
LIGHT_AND_DARK = pytest.mark.parametrize("scheme", ["light", "dark"])


def violations(page: Any) -> list[str]:
    """What axe-core finds on the page at rest, serious and critical ones; what a redraw dims is looked at again."""
    page.evaluate(AXE)
    first = _seen(page)
    if not first:
        return []
    page.wait_for_timeout(2000)
    return [what for what in _seen(page) if what in first]


def _seen(page: Any) -> list[str]:
    found = json.loads(page.evaluate("axe.run().then(r => JSON.stringify(r.violations))"))
    return [
        f"{v['id']}: {node['target']} {node['html'][:160]}"
        for v in found
        if v["impact"] in SERIOUS
        for node in v["nodes"]
    ]


def too_wide(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@LIGHT_AND_DARK
def test_pages_are_accessible_fit_the_window_and_ask_nobody_else(
    browser: Any, server: Server, ready: str, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    screen = Screen(context.new_page(), server.url)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        screen.open(f"{path}{'&' if '?' in path else '?'}project={ready}")
        screen.page.wait_for_load_state("networkidle")
        assert screen.page.get_by_role("dialog").count() == 0, f"{path} opens with a dialog"
        assert not too_wide(screen.page), f"{path} scrolls sideways"
        found[path] = violations(screen.page)
    context.close()
    assert {path: what for path, what in found.items() if what} == {}
    assert screen.foreign == []  # fonts, scripts, telemetry: nothing leaves this machine
    assert screen.errors == []


def test_the_inspector_is_accessible(browser: Any, server: Server, ready: str) -> None:
    example = server.api.strips(server.api.directions(ready)[0].id, n=1)[0].items[0].id
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{server.url}/discover?project={ready}&example={example}")
    page.locator(".us-large").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    context.close()


def test_pages_fit_wide_screens_too(browser: Any, server: Server, ready: str) -> None:
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, color_scheme="dark")
    screen = Screen(context.new_page(), server.url)
    for path in PAGES:
        screen.open(f"{path}{'&' if '?' in path else '?'}project={ready}")
        assert not too_wide(screen.page), path
    context.close()


def test_a_shared_report_is_accessible(browser: Any, server: Server, ready: str) -> None:
    report = server.api.reports(ready)[0]
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(server.url + report.url)
    page.locator(".main-svg").first.wait_for()
    assert violations(page) == []
    context.close()


def test_discover_is_used_by_keyboard_alone(browser: Any, server: Server, ready: str) -> None:
    """From the top of the page to the first tile by Tab, along the gallery by arrows, into the inspector and back."""
    direction = server.api.directions(ready)[0]
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    screen = Screen(context.new_page(), server.url)
    screen.open(f"discover?project={ready}&class={direction.label}&direction={direction.title}")
    page = screen.page
    page.wait_for_load_state("networkidle")
    tiles = page.locator(".us-strip").first.locator(".us-open")
    tiles.nth(1).wait_for()
    page.locator("html[data-galleries]").wait_for(state="attached")  # a module, which may still be loading
    first, second = (tiles.nth(n).get_attribute("data-example") for n in (0, 1))
    focused = "document.activeElement?.dataset?.example ?? ''"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == first:
            break
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == second
    page.keyboard.press("Enter")
    page.locator(".us-large").first.wait_for()
    page.wait_for_url(f"**example={second}*")
    page.keyboard.press("Escape")
    page.locator(".us-large").first.wait_for(state="detached")
    context.close()
