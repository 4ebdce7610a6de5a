"""A real server with a real worker on a small real project, and a real Chromium. Nothing leaves tmp folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser_screen import Server

from unskew.client import Client

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("unskew-data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UNSKEW_")} | {"UNSKEW_DATA": str(data)}
    command = [sys.executable, "-c", "from backend.cli.main import main; main()", "up", "--port", str(port)]
    log = data / "up.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
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
            if httpx.get(f"{url}/api/v1/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"The server did not come up in {START_SECONDS} s:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def small_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 1,000 + 300 + 300 rows of the demo set, as a manifest of its own."""
    import pandas as pd

    from unskew.data import build_demo

    manifest = build_demo(tmp_path_factory.mktemp("demo") / "set")
    rows = pd.read_csv(manifest)
    sizes = {"train": 1000, "validation": 300, "test": 300}
    small = pd.concat([rows[rows["split"] == split].head(n) for split, n in sizes.items()])
    path = manifest.with_name("small.csv")
    small.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield launched
        launched.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A picture of the screen in test-results/ when a test of it fails."""
    report = yield
    screen = getattr(item, "funcargs", {}).get("screen")
    if report.when == "call" and report.failed and screen is not None:
        screen.page.screenshot(path=ROOT / "test-results" / f"{item.name}.png", full_page=True)
    return report
