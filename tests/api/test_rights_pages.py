"""The dashboard's pages, files and websocket, images and downloads, on the real server, as everybody."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from api_house import PROJECT, House
from test_rights import OTHER, Caller, callers, numbers  # noqa: F401 - callers is a fixture

from backend.api.rights import COOKIE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NAMES = "data models discover label prune jobs compare reports admin nothing".split()
PAGES = ("/", *(f"/{name}" for name in NAMES))
FILES = ("/_stcore/health", "/_stcore/host-config", "/static/index.html", "/media/nothing.png", "/component/x/y.js")
STREAM = "/_stcore/stream"
FOREIGN = "http://evil.example"


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """The server as `unskew up` starts it, on the folder of the house."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "backend.cli.main", "up", "--no-worker", "--port", str(port)]
    server = subprocess.Popen([*command, "--data", str(house.store.data)], cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            assert server.poll() is None and time.monotonic() < end
            try:
                if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def headers(caller: Caller) -> dict[str, str]:
    if caller.key is None:
        return {}
    return {"Cookie": f"{COOKIE}={caller.key}"} if caller.cookie else {"Authorization": f"Bearer {caller.key}"}


def as_cookie(caller: Caller) -> dict[str, str]:
    """What any key is worth as a browser's cookie."""
    return {} if caller.key is None else {"Cookie": f"{COOKIE}={caller.key}"}


async def stream(url: str, sent: dict[str, str], origin: str | None, seconds: float = 0.0) -> bytes | None:
    """What the dashboard's websocket says in this time after a first run was asked for; None when it is refused."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    address = url.replace("http", "ws") + STREAM
    try:
        async with websockets.connect(
            address, additional_headers=sent, origin=origin, subprotocols=["streamlit"], max_size=None, open_timeout=30
        ) as connection:
            if not seconds:
                return b""
            first = BackMsg()
            first.rerun_script.query_string = ""
            await connection.send(first.SerializeToString())
            heard = b""
            async with asyncio.timeout(seconds):
                async for part in connection:
                    assert isinstance(part, bytes)
                    heard += part
                    if ForwardMsg.FromString(part).WhichOneof("type") == "script_finished":
                        return heard
            return heard
    except websockets.InvalidStatus:
        return None
    except websockets.ConnectionClosed:
        return None


def test_pages_and_files_of_the_dashboard(served: str, callers: list[Caller]) -> None:  # noqa: F811
    wrong, n = [], 0
    with httpx.Client(base_url=served, trust_env=False, timeout=30) as http:
        for caller in callers:
            ways = [headers(caller)] if caller.known else [headers(caller), as_cookie(caller)]
            for sent in ways:
                for path in (*PAGES, *FILES):
                    n += 1
                    page, plain = http.get(path, headers=sent | {"Accept": "text/html"}), http.get(path, headers=sent)
                    if caller.known:
                        fine = {page.status_code, plain.status_code} <= {200, 404}
                    else:
                        fine = page.status_code == 303 and page.headers["location"].startswith("/login?next=")
                        fine &= plain.status_code == 401
                    if not fine:
                        wrong.append((caller.name, path, page.status_code, plain.status_code))
    assert wrong == []
    assert n > 250


def test_the_websocket(served: str, callers: list[Caller]) -> None:  # noqa: F811
    for caller in callers:
        sent = headers(caller)
        opened = asyncio.run(stream(served, sent, served)) is not None
        assert opened == caller.known, caller.name
        assert asyncio.run(stream(served, sent, FOREIGN)) is None, f"{caller.name} from another site"
        if caller.cookie:
            assert asyncio.run(stream(served, sent, None)) is None, f"{caller.name} without an origin"


def test_what_a_page_says_is_what_its_reader_may_see(served: str, callers: list[Caller]) -> None:  # noqa: F811
    """The dashboard asks the API with the login of whoever looks."""
    by_name = {caller.name: caller for caller in callers}
    for name, seen, hidden in (("viewer", b"digits", b"Other"), ("admin of another project", b"Other", b"digits")):
        said = asyncio.run(stream(served, headers(by_name[name]), served, seconds=60))
        assert said is not None and seen in said and hidden not in said, name


def test_images_and_downloads(served: str, house: House, callers: list[Caller]) -> None:  # noqa: F811
    values = numbers(house)
    reading = [
        f"/projects/{PROJECT}/examples/{values['example_id']}/image",
        f"/projects/{PROJECT}/examples/{values['example_id']}/thumbnail",
        f"/prune-sets/{values['prune_set_id']}/download?format=npy",
        f"/reports/{values['report_id']}/download",
        f"/reports/{values['report_id']}/download?format=json",
        f"/group-sets/{values['group_set_id']}/export",
    ]
    with httpx.Client(base_url=served, trust_env=False, timeout=30) as http:
        for caller in callers:
            may = caller.role is not None or caller.everywhere is not None
            due = 200 if may else 404 if caller.known else 401
            for path in reading:
                answer = http.get(f"/api/v1{path}", headers=headers(caller))
                assert answer.status_code == due, (caller.name, path)
                assert due == 200 or OTHER.encode() not in answer.content


def test_a_share_link_opens_its_report_and_nothing_else(served: str, callers: list[Caller]) -> None:  # noqa: F811
    key = next(caller.key for caller in callers if caller.name == "share token")
    with httpx.Client(base_url=served, trust_env=False, timeout=30) as http:
        assert http.get(f"/r/{key}").status_code == 200
        assert http.get("/r/" + "x" * len(key or "")).status_code == 404
        for sent in ({"Authorization": f"Bearer {key}"}, {"Cookie": f"{COOKIE}={key}"}):
            assert http.get("/api/v1/projects", headers=sent).status_code == 401
            assert http.get("/metrics", headers=sent).status_code == 401
