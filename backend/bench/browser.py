"""A real Chromium, and times taken inside its pages: from an event to the frame in which what was asked for is seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from unskew.errors import SettingsError

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'

# `all` looks into the labelling grid too, which lives in a shadow root. A picture is seen when its pixels are there.
WATCH = """(() => {
  let host = null
  const grid = () => {
    const holds = node => node.shadowRoot?.querySelector(".grid-root")
    if (!host?.isConnected) host = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')].find(holds)
    return host?.shadowRoot
  }
  const all = selector => [...document.querySelectorAll(selector), ...(grid()?.querySelectorAll(selector) ?? [])]
  const there = image => image.complete && image.naturalWidth > 0
  const inSight = image => image.getBoundingClientRect().top < innerHeight
  const shown = selector => {
    const images = all(selector).filter(inSight)
    return images.length > 0 && images.every(there)
  }
  const joined = tiles => [...tiles].map(tile => tile.dataset.example).join()
  const ids = selector => joined(all(selector))
  const galleries = () => all(".us-strip").map(strip => joined(strip.querySelectorAll("[data-example]")))
  const watched = {
    gallery: { state: galleries, ready: () => shown(".us-strip img") },
    four: { state: () => galleries().slice(0, 4), ready: () => galleries().length >= 4 && shown(".us-strip img") },
    last: { state: () => galleries().slice(-1), ready: () => shown(".us-strip:last-of-type img") },
    tiles: { state: () => [ids(".tile")], ready: () => shown(".tile img") },
    current: { state: () => [ids(".tile.current")], ready: () => all(".tile.current img").some(there) },
  }
  // seconds from the next such event until all of the state has changed and its pictures are there
  const after = (event, name) => {
    window.took = null
    addEventListener(event, () => {
      const began = performance.now(), { state, ready } = watched[name], before = state()
      const look = () => {
        const now = state()
        const changed = now.length && now.every((part, n) => part && part !== before[n])
        if (changed && ready()) window.took = (performance.now() - began) / 1000
        else requestAnimationFrame(look)
      }
      requestAnimationFrame(look)
    }, { capture: true, once: true })
  }
  const frames = () => {
    const gaps = []
    let last = performance.now(), on = true
    const look = now => { gaps.push((now - last) / 1000); last = now; if (on) requestAnimationFrame(look) }
    requestAnimationFrame(look)
    return () => { on = false; return gaps.slice(1) }
  }
  window.bench = { after, frames, ready: name => watched[name].ready() }
})()"""


@contextmanager
def browsing() -> Iterator[Any]:
    """Playwright's browser; its own, or the Chromium of the system."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SettingsError("This needs a browser driver.", fix="pip install playwright, and a Chromium.") from None
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def window(browser: Any, url: str) -> Iterator[Window]:
    """A window of its own, with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(WATCH)
    yield Window(page, url)
    context.close()


class Window:
    """One browser window on the dashboard, with times [s] taken inside it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url

    def opened(self, address: str, what: str) -> float:
        """From the start of the navigation until `what` and its pictures are there."""
        self.page.goto(f"{self.url}/{address}", wait_until="commit")
        script = f'() => window.bench?.ready("{what}") && performance.now() / 1000'
        return float(self.page.wait_for_function(script, polling="raf").json_value())

    def after(self, event: str, what: str, act: Callable[[], Any]) -> float:
        """From the event that `act` causes until `what` has changed and its pictures are there."""
        self.page.evaluate("([event, what]) => bench.after(event, what)", [event, what])
        act()
        self.page.wait_for_function("took !== null", polling="raf")
        return float(self.page.evaluate("took"))

    def step(self, title: str) -> Any:
        """The link of a step."""
        return self.page.locator(".st-key-stepper").get_by_role("link", name=title, exact=True)

    def at(self, title: str) -> None:
        """Wait until the page of this title is drawn."""
        self.page.locator(".stMain h1", has_text=title).wait_for()
        self.idle()

    def idle(self) -> None:
        """Wait until nothing is being drawn."""
        self.page.locator(".stMain h1").first.wait_for()
        self.page.wait_for_selector(IDLE)
