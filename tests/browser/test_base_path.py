"""Below a path of another site, through a real nginx with the configuration of docs/operations.md."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser_screen import ROOT, Screen, Server, copied, serving, wait_for

from backend.services import accounts
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas import api
from unskew.schemas.enums import Role

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"
AROUND = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""


@pytest.fixture(scope="module")
def below(server: Server, ready: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The prepared house with an admin, at http://127.0.0.1:PORT/unskew."""
    folder = tmp_path_factory.mktemp("below")
    copied(server, folder)
    with closing(Store.open(folder / "data")) as store:
        accounts.add_user(store, api.UserCreate(name="boss", password=PASSWORD, role=Role.ADMIN))
        token = accounts.add_token(store, "boss", api.TokenCreate(name="test", role=Role.ADMIN, days=1)).key
    place = ("--base-path", "/unskew", "--proxy", "127.0.0.1", "--name", "127.0.0.1")
    with serving(folder / "data", "--no-worker", *place) as running:
        with through_nginx(folder, running.url) as site:
            yield Server(f"{site}/unskew", folder / "data", Client(f"{site}/unskew", token=token))


class through_nginx:
    """nginx with the location of the documentation, led to our server; its address."""

    def __init__(self, folder: Path, inside: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        told = re.search(r"location /unskew/ \{.*?\n  \}", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
        assert told is not None
        location = told[0].replace("http://127.0.0.1:8501", inside)
        self.conf = folder / "nginx.conf"
        self.conf.write_text(AROUND.format(folder=folder, port=port, location=location))
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> str:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
        if program is None:
            pytest.skip("there is no nginx here; `bash tests/prepare.sh` installs it where it can")
        user = ["-g", "user root;"] if os.geteuid() == 0 else []  # its own user may not look into our folders
        log = str(self.conf.with_name("error.log"))
        self.process = subprocess.Popen([program, "-e", log, "-c", str(self.conf), *user])
        wait_for(self._answers)
        return self.url

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.conf.with_name("error.log").read_text()
        try:
            return httpx.get(self.url, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def page(browser: Any, below: Server) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def log_in(page: Any) -> None:
    page.get_by_label("Name").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_everything_a_browser_asks_for_lies_below_the_path(page: Any, below: Server, ready: str) -> None:
    """Login, pages and links between them, websocket, pictures, a label, the API's documentation, logging out."""
    screen = Screen(page, below.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{below.url}/discover?project={ready}")
    assert page.url.startswith(f"{below.url}/login?next=")
    log_in(page)
    screen.idle()
    assert page.url.startswith(f"{below.url}/discover")
    page.get_by_role("heading", name="Discover", exact=True).wait_for()
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "unskew_login"]
    assert cookie["path"] == "/unskew" and cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    screen.step("Label")
    group_set = next(s.id for s in below.api.group_sets(ready) if s.name == "sides")
    screen.open(f"label?project={ready}&group_set={group_set}")
    picture = page.locator(".tile.current img")
    picture.wait_for()
    wait_for(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 0"))
    before = below.api.group_set(group_set).n_labelled
    page.keyboard.press("1")
    wait_for(lambda: below.api.group_set(group_set).n_labelled == before + 1)
    page.goto(f"{below.url}/docs")
    page.locator('[data-path="/api/v1/projects"]').first.wait_for()
    screen.open("")
    page.get_by_text("Log out").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/unskew/login")
    assert (screen.errors, screen.foreign) == ([], [])
    assert {url for url in asked if "/_stcore/health" in url} == {f"{below.url}/_stcore/health"}  # no page guesses


def test_a_shared_report_and_the_api_answer_below_the_path(below: Server, ready: str) -> None:
    report = below.api.reports(ready)[0]
    shared = httpx.get(f"{below.url}{report.url}", trust_env=False)
    assert shared.status_code == 200 and "Ready" in shared.text
    nobody = httpx.get(f"{below.url}/models", headers={"Accept": "text/html"}, trust_env=False)
    assert nobody.headers["location"] == "/unskew/login?next=/models"
    bare = httpx.get(below.url, headers={"Accept": "text/html"}, trust_env=False)
    assert bare.status_code in (301, 303) and "/unskew" in bare.headers["location"]
