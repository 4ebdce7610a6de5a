"""The screens in a real browser: first grid, page turns, keys, Discover, a large scatter, memory over many visits."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.bench.server import Running, milliseconds, serving
from backend.bench.tiled import tile
from backend.store.db import Store
from unskew.client import Client
from unskew.errors import SettingsError

BARS_MS = {"first_grid": 1000.0, "page_turn": 300.0, "key_to_next_image": 100.0, "discover": 500.0}
LABELS = 200
TURNS = 20
OPENINGS = 5

# Noted in the page itself: from the key press to the frame in which another tile is current and its picture is there.
WATCH = """() => {
  window.seen = []
  document.addEventListener("keydown", event => {
    if (!/^[1-9]$/.test(event.key)) return
    const before = performance.now(), old = document.querySelector(".tile.current")?.dataset.example
    const look = () => {
      const tile = document.querySelector(".tile.current"), image = tile?.querySelector("img")
      const there = tile && tile.dataset.example !== old && image.complete && image.naturalWidth
      if (there) seen.push((performance.now() - before) / 1000)
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  }, true)
}"""
STRIPS = "document.querySelectorAll('.us-strip').length >= 4"
SHOWN = """selector => {
  const images = [...document.querySelectorAll(selector)].filter(i => i.getBoundingClientRect().top < innerHeight)
  return images.length > 0 && images.every(i => i.complete && i.naturalWidth)
}"""


def bench_ui(
    source: Store, slug: str, sizes: list[int], *, visits: int = 500, scratch: Path | None = None
) -> dict[str, Any]:
    """Every measurement on a project of each size; memory on the smallest."""
    with TemporaryDirectory(dir=scratch) as folder:
        store = Store.open(Path(folder))
        made = {n: tile(source, slug, store, n) for n in sizes}
        store.close()
        with serving(Path(folder)) as running, Client(running.url) as client, _browser() as browser:
            found: dict[str, Any] = {str(n): _project(browser, running, client, name) for n, name in made.items()}
            if visits:
                found["memory"] = _memory(browser, running, made[sizes[0]], visits)
    found["bars_ms"] = BARS_MS
    return found


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SettingsError("This needs a browser driver.", fix="pip install playwright, and a Chromium.") from None
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _project(browser: Any, running: Running, client: Client, slug: str) -> dict[str, Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    project = client.project(slug)
    found: dict[str, Any] = {"images": project.n_train + project.n_validation + project.n_test}
    page.goto(f"{running.url}/?project={slug}")
    page.locator(".stMain h1").first.wait_for()
    found |= _grid(page, running, slug)
    found |= _labels(page, running, client, slug)
    found |= _discover(page, running, client, slug)
    context.close()
    return found


def _timed(act: Callable[[], Any], ready: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    ready()
    return time.perf_counter() - started


# ---------------------------------------------------------------- grids
def _grid(page: Any, running: Running, slug: str) -> dict[str, Any]:
    """First grid: from the address to the last picture in sight. Page turn: from the click to the last picture."""
    address = f"{running.url}/data?project={slug}&data_tab=Browse&b_split=validation"

    def shown() -> None:
        page.wait_for_function(SHOWN, arg=".us-strip img", polling="raf")

    first = [_timed(lambda: page.goto(address), shown) for _ in range(OPENINGS)]
    page.goto(f"{running.url}/label?project={slug}")
    page.locator(".tile.current").wait_for()
    turns = []
    for _ in range(TURNS):
        old = page.locator(".tile").first.get_attribute("data-example")
        script = f"""() => document.querySelector(".tile").dataset.example !== "{old}" && ({SHOWN})(".tile img")"""
        turns.append(_timed(partial(page.keyboard.press, "n"), partial(page.wait_for_function, script, polling="raf")))
    return {"first_grid": milliseconds(first), "page_turn": milliseconds(turns)}


# ---------------------------------------------------------------- labels
def _labels(page: Any, running: Running, client: Client, slug: str) -> dict[str, Any]:
    """Keys as fast as the pictures come; then every label must be in the store."""
    group_set = client.group_sets(slug)[0]
    page.goto(f"{running.url}/label?project={slug}&group_set={group_set.id}")
    page.locator(".tile.current").wait_for()
    page.wait_for_function(SHOWN, arg=".tile img")
    page.evaluate(WATCH)
    started, at_hundred = time.perf_counter(), 0.0
    for number in range(1, LABELS + 1):
        page.keyboard.press(str(1 + number % 2))
        page.wait_for_function(f"seen.length >= {number}", polling="raf")
        at_hundred = at_hundred or (time.perf_counter() - started if number == 100 else 0.0)
    page.get_by_text("all saved").wait_for()
    written = client.group_set(group_set.id).n_labelled
    return {
        "key_to_next_image": milliseconds(page.evaluate("seen")),
        "labels": {"pressed": LABELS, "written": written, "seconds_for_100": round(at_hundred, 1)},
    }


# ---------------------------------------------------------------- discover
def _discover(page: Any, running: Running, client: Client, slug: str) -> dict[str, Any]:
    """From following the link to all four strips; and a lasso over the scatter."""
    times = []
    for _ in range(OPENINGS + 1):
        page.goto(f"{running.url}/data?project={slug}")
        page.locator(".stMain h1").first.wait_for()
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        link = page.locator(".st-key-stepper").get_by_role("link", name="Discover", exact=True)
        times.append(_timed(link.click, lambda: page.wait_for_function(STRIPS, polling="raf")))
    plot = page.locator(".stPlotlyChart").last
    plot.locator(".main-svg").first.wait_for()
    first, second = client.directions(slug)[:2]
    points = client.scatter(first.id, other=second.id).x
    box = plot.bounding_box()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()

    def lasso() -> None:
        x, y = box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.3
        corners = [(0, 0), (120, 0), (120, 120), (0, 120), (0, 10)]
        page.mouse.move(x, y)
        page.mouse.down()
        for dx, dy in corners:
            page.mouse.move(x + dx, y + dy, steps=4)
        page.mouse.up()

    selected = _timed(lasso, lambda: page.locator(".st-key-view_save").wait_for())
    return {
        "discover": milliseconds(times[1:]),
        "scatter": {"points": len(points), "lasso_to_grid_ms": round(1000 * selected)},
    }


# ---------------------------------------------------------------- memory
def _memory(browser: Any, running: Running, slug: str, visits: int) -> dict[str, Any]:
    """Pages visited in turn, a new session every fifty; the web process's memory on the way."""
    steps = ["Data", "Models", "Discover", "Label", "Compare"]
    noted: dict[str, float] = {}
    page: Any = None
    for number in range(1, visits + 1):
        if page is None or number % 50 == 1:
            if page is not None:
                page.context.close()
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(f"{running.url}/data?project={slug}")
            page.locator(".stMain h1").first.wait_for()
        page.locator(".st-key-stepper").get_by_role("link", name=steps[number % len(steps)], exact=True).click()
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        if number in (1, 50, 100, visits // 2, visits):
            noted[str(number)] = round(running.memory(), 1)
    return {"visits": visits, "rss_mb_after": noted}
