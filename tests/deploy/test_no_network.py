"""The loop needs no network: with every address but this machine's own closed, it runs as ever and asks for none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Loaded by every Python process of the run, before anything else: `sitecustomize`.
WATCH = """
import os, sys

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0", "::")


def watch(event, given):
    if event in ("socket.connect", "socket.sendto"):
        address = given[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = (given[0] or "localhost",)
    else:
        return
    host = address[0] if isinstance(address, tuple) else ""  # a path: a Unix socket
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host and not host.startswith(LOOPBACK):
        with open(os.environ["UNSKEW_TEST_WATCH"], "a") as log:
            log.write(f"{event} {host}\\n")
        raise OSError(f"no network in this test: {event} {host}")


sys.addaudithook(watch)
"""

LOOP = """
import sys, threading, time
from pathlib import Path
from api_house import open_house, walk
house = open_house(Path(sys.argv[1]))
walk(house, Path(sys.argv[2]))
report = house.client.create_report("digits")
assert house.http.get(report.url).status_code == 200
assert house.client.download_report(report.id)
house.store.close()
"""

SERVE = """
import socket, subprocess, sys, time
import httpx
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen([sys.executable, "-m", "backend.cli.main", "up", "--port", str(port), "--data", sys.argv[1]])
end = time.monotonic() + 90
while True:
    assert server.poll() is None and time.monotonic() < end
    try:
        if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
            break
    except httpx.TransportError:
        time.sleep(0.2)
for path in ("/", "/discover", "/docs", "/api/v1/server", "/metrics"):
    assert httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=30).status_code == 200, path
time.sleep(2)
server.terminate()
server.wait(30)
"""


def run(code: str, tmp_path: Path, *arguments: object) -> list[str]:
    """Run it watched; what was asked for beyond this machine."""
    log = tmp_path / "asked"
    log.touch()
    (tmp_path / "watch").mkdir(exist_ok=True)
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    path = os.pathsep.join(map(str, (tmp_path / "watch", ROOT, ROOT / "tests" / "api")))
    environment = os.environ | {"PYTHONPATH": path, "UNSKEW_TEST_WATCH": str(log)}
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], env=environment, cwd=ROOT, timeout=400)
    assert done.returncode == 0, log.read_text()
    return log.read_text().splitlines()


def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.create_connection(('example.org', 80), 1)\nexcept OSError as e: print(e)"
    assert run(code, tmp_path) == ["socket.getaddrinfo example.org"]


@pytest.mark.slow
def test_the_loop_and_the_server_ask_for_nothing(tmp_path: Path, digits_manifest: Path) -> None:
    assert run(LOOP, tmp_path, tmp_path / "data", digits_manifest) == []
    assert run(SERVE, tmp_path, tmp_path / "data") == []
