"""Driving Streamlit from Playwright: every wait is for a state of the page, never for time."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import TimeoutError, sync_playwright

from backend.services import backup
from backend.store.db import Store
from unskew.client import Client

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


@dataclass(frozen=True)
class Server:
    """A running `unskew up`: where it listens, where its data lie, and how to ask it without a browser."""

    url: str
    data: Path
    api: Client


class Screen:
    """One browser page on the dashboard."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._see)
        page.set_default_timeout(30_000)

    def _see(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", self.url.replace("http", "ws", 1))):
            self.foreign.append(request.url)

    def open(self, path: str) -> None:
        """Go to an address and wait until the page is drawn."""
        self.page.goto(f"{self.url}/{path}")
        self.idle()

    def idle(self) -> None:
        """Wait until no script runs."""
        self.page.wait_for_selector(IDLE)
        self.page.locator(".stMain h1, .stMain h4").first.wait_for()

    def step(self, title: str) -> None:
        """Follow a step of the stepper."""
        self.page.locator(".st-key-stepper").get_by_role("link", name=title, exact=True).click()
        self.idle()

    def open_example(self, tile: Any) -> None:
        """Click a tile until the inspector is there: the gallery is seen a moment before it listens."""
        large = self.page.locator(".us-large").first
        end = time.monotonic() + 60
        while not large.is_visible():
            assert time.monotonic() < end
            tile.click()
            with suppress(TimeoutError):
                large.wait_for(timeout=5_000)

    def fill(self, label: str, text: str) -> None:
        box = self.page.get_by_label(label, exact=True).first
        box.fill(text)
        box.press("Tab")

    def press_button(self, key: str) -> None:
        """Click the button or link with this Streamlit key, in mid-window: no header or toast lies over it there."""
        button = self.page.locator(f".st-key-{key}").locator("button, a").first
        button.evaluate("element => element.scrollIntoView({block: 'center'})")
        button.click()

    def click_line(self, plot: Any, number: int) -> None:
        """Click a line of a small figure of counts, at its number, once the figure answers the mouse.

        Plotly forgets what the mouse is over when it is pressed within 50 ms of a move; `mouse.click` moves first.
        """
        text = plot.locator(".scatterlayer text").nth(number)
        end = time.monotonic() + 60
        aside = 0
        while not plot.locator(".hovertext").count():
            assert time.monotonic() < end
            self.idle()
            text.wait_for()
            text.evaluate("element => element.scrollIntoView({block: 'center'})")
            if box := text.bounding_box():  # none while the figure is drawn again
                aside = 3 - aside  # a mouse that stays where it was is not noticed
                self.page.mouse.move(box["x"] + box["width"] / 2 + aside, box["y"] + box["height"] / 2)
                with suppress(TimeoutError):
                    plot.locator(".hovertext").first.wait_for(timeout=1_000)
        self.page.mouse.down()
        self.page.mouse.up()

    def drag_over(self, plot: Any, left: float, right: float) -> None:
        """Draw over a figure from one share of its width to another."""
        area = plot.locator(".nsewdrag").first
        area.wait_for(state="attached")
        self.idle()
        area.hover()
        box = area.bounding_box()
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + left * box["width"], middle)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + right * box["width"], middle + 3, steps=8)
        self.page.mouse.up()

    def see(self, text: str, *, seconds: float = 30) -> None:
        """Wait until this text stands on the page."""
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)


def copied(server: Server, folder: Path) -> None:
    """Its data, in folder/data, for another server that may change them."""
    with closing(Store.open(server.data)) as store:
        backup.backup(store, folder / "house.tar")
    backup.restore(folder / "house.tar", folder / "data")


@contextmanager
def serving(data: Path, *arguments: str) -> Iterator[Server]:
    """`unskew up` on a data folder, with these arguments, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UNSKEW_")} | {"UNSKEW_DATA": str(data)}
    command = [sys.executable, "-c", "from backend.cli.main import main; main()", "up", "--port", str(port)]
    log = data / "up.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, process, log)
        yield Server(url, data, Client(url))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"The server did not come up in {START_SECONDS} s:\n{log.read_text(errors='replace')}")


@contextmanager
def chromium() -> Iterator[Any]:
    """The Chromium of this machine, else the one of Playwright."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield launched
        launched.close()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Until something is true outside the page."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
