"""`unskew up` and `unskew worker`: the long-running processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Annotated

import typer

from backend.cli import follow
from backend.cli.context import DataOption, err, opened, out
from backend.store.db import Store

RESTART_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(worker)


def up(
    port: Annotated[int, typer.Option(help="The one port of dashboard and API.")] = 8501,
    host: str = "127.0.0.1",
    workers: Annotated[bool, typer.Option("--worker/--no-worker", help="Also run a worker for the jobs.")] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda:0, mps.")] = "cpu",
    data: DataOption = None,
) -> None:
    """Start the dashboard, the API and a worker, until Ctrl-C."""
    with opened(data) as store:
        serve_with_worker(store, host, port, device if workers else None)


def serve_with_worker(store: Store, host: str, port: int, device: str | None) -> None:
    """Serve in this process; keep one worker process alive beside it (`device=None`: none)."""
    from backend.api.serve import check_address, serve

    check_address(host, port)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(store, device, stop)) if device else None
    if keeper:
        keeper.start()
    out.print(f"Unskew is at [bold]http://{host}:{port}[/]  (data in {store.data}; Ctrl-C ends it)", highlight=False)
    try:
        serve(store, host, port)
    finally:
        stop.set()
        if keeper:
            keeper.join(15)


def _keep_worker(store: Store, device: str, stop: threading.Event) -> None:
    """Restart the worker when it dies: its jobs go on at the last finished step."""
    process = follow.start_worker(store, device=device)
    while not stop.wait(RESTART_SECONDS):
        if process.poll() is not None:
            err.print(
                f"The worker ended with code {process.returncode}; starting it again. Log: {store.data / 'worker.log'}"
            )
            process = follow.start_worker(store, device=device)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def worker(
    device: Annotated[str, typer.Option(help="cpu, cuda:0, mps.")] = "cpu",
    slot: Annotated[str | None, typer.Option(help="This worker's name. [default: host and device]")] = None,
    once: Annotated[bool, typer.Option("--once", help="End when no job is left.")] = False,
    data: DataOption = None,
) -> None:
    """Run a worker: it takes jobs from the store until Ctrl-C."""
    with opened(data) as store:
        command = [sys.executable, "-m", "workers", "--data", str(store.data), "--device", device]
        command += ["--slot", slot] if slot else []
        command += ["--once"] if once else []
        environment = os.environ | {"UNSKEW_DATABASE_URL": store.url}
    os.execve(sys.executable, command, environment)


def wait_until_up(address: str, seconds: float = 30.0) -> None:
    """Wait until the API answers (used before a browser is opened)."""
    import httpx

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/api/v1/health", timeout=1.0).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
