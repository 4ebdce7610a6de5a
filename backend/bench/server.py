"""A server of our own for a measurement."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from unskew.errors import ServerError

START_SECONDS = 120.0


@dataclass(frozen=True)
class Running:
    """A server process and where it listens."""

    url: str
    pid: int

    def memory(self) -> float:
        """Resident memory [MB], from /proc."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
        return float("nan")


@contextmanager
def serving(data: Path, database: str | None = None) -> Iterator[Running]:
    """`unskew up --no-worker` on this folder and database, for as long as the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "backend.cli.main", "up", "--port", str(port), "--no-worker", "--data", str(data)]
    process = subprocess.Popen(command, env=_environment(database), stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield Running(url, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def working(
    data: Path, database: str | None = None, *, slot: str | None = None, threads: int | None = None
) -> Iterator[None]:
    """A worker on this folder and database, for as long as the block runs.

    Args:
        slot: its name, where there are several. threads: it computes with; None: as many as there are cores.
    """
    command = [sys.executable, "-m", "workers", "--data", str(data), "--die-with-parent", str(os.getpid())]
    command += ["--slot", slot] if slot else []
    environment = _environment(database) | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    with (data / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _environment(database: str | None) -> dict[str, str]:
    given = {"UNSKEW_DATABASE_URL": database} if database else {}
    return os.environ | {"PYTHONUNBUFFERED": "1"} | given


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"The server ended with code {process.returncode}.", fix="Start `unskew up` to see why.")
        try:
            if httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise ServerError(f"The server did not come up in {START_SECONDS:.0f} s.")
