"""A server of our own for a measurement, and statistics of what was measured."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

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
def serving(data: Path) -> Iterator[Running]:
    """`unskew up --no-worker` on this folder, for as long as the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "backend.cli.main", "up", "--port", str(port), "--no-worker", "--data", str(data)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.DEVNULL)
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


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"The server ended with code {process.returncode}.", fix="Start `unskew up` to see why.")
        try:
            if httpx.get(f"{url}/api/v1/health", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise ServerError(f"The server did not come up in {START_SECONDS:.0f} s.")


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """n, median and 95th percentile."""
    values = 1000 * np.asarray(seconds)
    return {
        "n": len(values),
        "p50_ms": round(float(np.percentile(values, 50)), 1),
        "p95_ms": round(float(np.percentile(values, 95)), 1),
        "max_ms": round(float(values.max()), 1),
    }
