"""Driving Streamlit from Playwright: every wait is for a state of the page, never for time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unskew.client import Client

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

    def fill(self, label: str, text: str) -> None:
        box = self.page.get_by_label(label, exact=True).first
        box.fill(text)
        box.press("Tab")

    def press_button(self, key: str) -> None:
        """Click the button or link with this Streamlit key, in mid-window: no header or toast lies over it there."""
        button = self.page.locator(f".st-key-{key}").locator("button, a").first
        button.evaluate("element => element.scrollIntoView({block: 'center'})")
        button.click()

    def see(self, text: str, *, seconds: float = 30) -> None:
        """Wait until this text stands on the page."""
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)
