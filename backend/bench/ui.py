"""The screens in a real browser: first grid, page turns, keys, Discover, a large scatter, memory over many visits.

The projects are tiled from a real one, results included, by bulk inserts (`backend.bench.tiled`); thumbnails are made
while the pages ask for them, as after an import. Server, browser and driver share the machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from backend.bench import bars
from backend.bench.bars import Bar, times
from backend.bench.browser import Window, browsing, window
from backend.bench.server import Running, serving
from backend.bench.tiled import rows_for, tile
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas import api

FIRST_GRID_MS, PAGE_TURN_MS, KEY_MS, DISCOVER_MS = 1000.0, 300.0, 100.0, 500.0
FRAME_MS, LASSO_MS = 100.0, 1000.0  # "interactive": ten frames a second while drawing, and the grid within a second
POINTS = 20_000
LABELS, HUNDRED_SECONDS = 200, 60.0
REPEATS = 20
GROWTH_PERCENT = 10.0  # of the memory of the web process, from the first fifth of the visits to the last


def bench_ui(
    source: Store,
    slug: str,
    sizes: list[int],
    *,
    visits: int = 500,
    points: int = POINTS,
    repeats: int = REPEATS,
    scratch: Path | None = None,
    tell: Callable[[Bar], None] = lambda bar: None,
) -> dict[str, Any]:
    """Every measurement on a project of each size; the scatter on one that holds enough points; memory on the smallest.

    Args:
        scratch: where the tiled projects stay for the next time; None: a folder that is deleted at the end.
        tell: called with every figure as soon as it is known: all of them take a quarter of an hour.
    """
    found: list[Bar] = []

    def noted(new: list[Bar]) -> None:
        found.extend(new)
        for bar in new:
            tell(bar)

    with _projects(source, slug, scratch, [*sizes, rows_for(source, slug, points) if points else 0]) as (folder, made):
        with serving(folder) as running, Client(running.url) as client, browsing() as browser:
            for name in made[: len(sizes)]:
                project = _Measured(running, client, name, repeats)
                for measure in (project.grids, project.labels, project.discover):
                    with window(browser, running.url) as opened:
                        noted(measure(opened))
            if points:
                with window(browser, running.url) as opened:
                    noted(_Measured(running, client, made[-1], repeats).scatter(opened))
            if visits:
                noted(_Measured(running, client, made[0], repeats).memory(browser, visits))
    return bars.bodies(found)


@contextmanager
def _projects(source: Store, slug: str, scratch: Path | None, sizes: list[int]) -> Iterator[tuple[Path, list[str]]]:
    """A data folder with a project of each size, without a thumbnail; their short names."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) if scratch is None else scratch
        store = Store.open(folder)
        made = [tile(source, slug, store, n) for n in sizes if n]
        store.close()
        shutil.rmtree(folder / "thumbnails")
        yield folder, made


class _Measured:
    """Measurements on one project."""

    def __init__(self, running: Running, client: Client, slug: str, repeats: int = REPEATS) -> None:
        self.running = running
        self.client = client
        self.slug = slug
        self.repeats = repeats
        project = client.project(slug)
        self.images = project.n_train + project.n_validation + project.n_test

    def _times(self, name: str, seconds: list[float], limit: float | None) -> Bar:
        return times(name, self.images, seconds, limit)

    def grids(self, opened: Window) -> list[Bar]:
        """From an address to the last picture in sight, and from turning a page to the last picture."""
        browse = f"data?project={self.slug}&data_tab=Browse&b_split=validation"
        cold = opened.opened(browse, "gallery")
        first = [opened.opened(browse, "gallery") for _ in range(self.repeats)]
        turns = []
        pages = opened.page.locator(".us-pager")
        following, back = (pages.get_by_role("button", name=name, exact=True) for name in ("Next page", "First page"))
        for _ in range(self.repeats):
            opened.idle()
            turns.append(opened.after("click", "gallery", (following if following.is_enabled() else back).click))
        return [
            self._times("first grid, Browse, a browser's very first visit", [cold], None),
            self._times("first grid, Browse", first, FIRST_GRID_MS),
            self._times("page turn, Browse", turns, PAGE_TURN_MS),
        ]

    def labels(self, opened: Window) -> list[Bar]:
        """Pages and keys of the labelling grid, as fast as the pictures come; then every label must be in the store."""
        group_set = self._group_set()
        address = f"label?project={self.slug}&group_set={group_set}"
        cold = opened.opened(address, "tiles")
        first = [opened.opened(address, "tiles") for _ in range(self.repeats)]
        turns: list[float] = []
        while len(turns) < self.repeats:
            opened.opened(address, "tiles")  # a small project has few pages
            opened.idle()
            while len(turns) < self.repeats and opened.page.locator(".following").is_enabled():
                turns.append(opened.after("keydown", "tiles", partial(opened.page.keyboard.press, "n")))
        opened.opened(address, "tiles")
        opened.idle()
        keys, started, hundred = [], perf_counter(), 0.0
        for number in range(1, LABELS + 1):
            key = str(1 + number % 2)
            keys.append(opened.after("keydown", "current", partial(opened.page.keyboard.press, key)))
            hundred = perf_counter() - started if number == 100 else hundred
        opened.page.get_by_text("all saved").wait_for()
        written = self.client.group_set(group_set).n_labelled
        events = len(self.client.label_history(group_set, limit=2 * LABELS))
        self.client.delete_group_set(group_set, force=True)
        return [
            self._times("first grid, Label, a browser's very first visit", [cold], None),
            self._times("first grid, Label", first, FIRST_GRID_MS),
            self._times("page turn, Label", turns, PAGE_TURN_MS),
            self._times("key to next image", keys, KEY_MS),
            Bar("labels lost or doubled", self.images, abs(LABELS - written) + abs(LABELS - events), "", 0, LABELS),
            Bar("100 labels by keyboard", self.images, round(hundred, 1), "s", HUNDRED_SECONDS, 100),
        ]

    def _group_set(self) -> int:
        """A fresh one of each class's first direction."""
        first = [d.id for d in self.client.directions(self.slug) if d.index == 0]
        name = f"measured {perf_counter():.3f}"
        return self.client.create_group_set(self.slug, api.GroupSetCreate(name=name, direction_ids=first)).id

    def discover(self, opened: Window) -> list[Bar]:
        """From the link of the step to the pictures of all four strips, and from one direction to the next."""
        links, steps = [], []
        opened.page.goto(f"{opened.url}/data?project={self.slug}")
        for _ in range(1 + self.repeats):
            opened.at("Data")
            links.append(opened.after("click", "four", opened.step("Discover").click))
            opened.idle()
            following = opened.page.locator(".st-key-d_next button")
            if following.is_enabled():
                steps.append(opened.after("click", "four", following.click))
                opened.idle()
            opened.step("Data").click()
        return [
            self._times("Discover, a browser's very first visit", links[:1], None),
            self._times("Discover", links[1:], DISCOVER_MS),
            self._times("next direction", steps, DISCOVER_MS),
        ]

    def scatter(self, opened: Window) -> list[Bar]:
        """Lassos over the scatter: frames while one is drawn, and from letting go to the pictures inside it."""
        opened.opened(f"discover?project={self.slug}", "four")
        opened.idle()
        plot = opened.page.locator("[class*=st-key-scatter_]:has(.js-plotly-plot)").first
        plot.locator(".nsewdrag").first.wait_for(state="attached")  # the layer that the mouse drags over, drawn last
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        frames: list[float] = []
        lassos: list[float] = []
        for number in range(self.repeats):
            left = 0.3 + 0.3 * (number % 2)  # by turns: inside the last lasso, a press would move that
            x, right = (box["x"] + box["width"] * share for share in (left, left + 0.08))
            y, down = (box["y"] + box["height"] * share for share in (0.12, 0.85))
            places = [(x, y), (right, y), (right, down), (x, down), (x, y + number)]
            opened.page.mouse.move(*places[0])
            opened.page.mouse.down()
            opened.page.evaluate("() => { window.stopFrames = bench.frames() }")
            for _, place in pairwise(places):
                opened.page.mouse.move(*place, steps=8)
            frames += opened.page.evaluate("stopFrames()")
            lassos.append(opened.after("mouseup", "last", opened.page.mouse.up))
            opened.idle()
        class_one = self.client.directions(self.slug)[:2]
        drawn = len(self.client.scatter(class_one[0].id, other=class_one[1].id).x)
        return [
            Bar("scatter: points", self.images, drawn, "", None, 1),
            self._times("scatter: a frame while drawing a lasso", frames, FRAME_MS),
            self._times("scatter: lasso to grid", lassos, LASSO_MS),
        ]

    def memory(self, browser: Any, visits: int) -> list[Bar]:
        """Pages visited in turn, a new browser session every fifty; memory of the web process on the way."""
        steps = ["Data", "Models", "Discover", "Label", "Compare"]
        noted: dict[int, float] = {}
        for start in range(0, visits, 50):
            with window(browser, self.running.url) as opened:
                opened.page.goto(f"{self.running.url}/data?project={self.slug}")
                for number in range(start + 1, min(start + 50, visits) + 1):
                    opened.idle()
                    title = steps[number % len(steps)]
                    opened.step(title).click()
                    opened.at(title)
                    noted[number] = self.running.memory()
        early, late = noted[max(1, visits // 5)], noted[visits]
        growth = round(100 * (late / early - 1), 1)
        return [
            Bar(
                f"memory of the web process after {max(1, visits // 5)} visits",
                self.images,
                round(early),
                "MB",
                None,
                1,
            ),
            Bar(f"memory of the web process after {visits} visits", self.images, round(late), "MB", None, 1),
            Bar("its growth between them", self.images, growth, "%", GROWTH_PERCENT, visits),
        ]
