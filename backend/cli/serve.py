"""`unskew up` and `unskew worker`: the long-running processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from typing import Annotated

import typer

from backend.cli import follow
from backend.cli.context import DataOption, err, opened, out
from backend.store import jobs
from backend.store.db import Store

RESTART_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(worker)


def up(
    port: Annotated[int, typer.Option(help="The one port of dashboard and API.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen on; another than 127.0.0.1 needs a user.")] = "127.0.0.1",
    workers: Annotated[bool, typer.Option("--worker/--no-worker", help="Also run a worker for the jobs.")] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda:0, mps.")] = "cpu",
    name: Annotated[
        list[str] | None, typer.Option(help="Host name that people use for this server; may be given again.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="Address of a reverse proxy in front, such as 127.0.0.1; everyone logs in.")
    ] = None,
    base_path: Annotated[
        str, typer.Option(envvar="UNSKEW_BASE_PATH", help="Path of the proxy's site that leads here, such as /unskew.")
    ] = "",
    data: DataOption = None,
) -> None:
    """Start the dashboard, the API and a worker, until Ctrl-C."""
    with opened(data) as store:
        worker = device if workers else None
        serve_with_worker(store, host, port, worker, names=name or [], proxy=proxy, base_path=base_path)


def serve_with_worker(
    store: Store,
    host: str,
    port: int,
    device: str | None,
    *,
    names: Collection[str] = (),
    proxy: str | None = None,
    base_path: str = "",
) -> None:
    """Serve in this process; keep one worker process alive beside it (`device=None`: none)."""
    from backend.api.base_path import cleaned
    from backend.api.serve import check_address, serve

    check_address(store, host, port)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(store, device, stop)) if device else None
    if keeper:
        keeper.start()
    out.print(
        f"Unskew is at [bold]http://{host}:{port}{cleaned(base_path)}[/]  (data in {store.data}; Ctrl-C ends it)",
        highlight=False,
    )
    try:
        serve(store, host, port, names=names, proxy=proxy, base_path=base_path)
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
    device: Annotated[str, typer.Option(help="cpu, cuda:0, mps; cuda:0,cuda:1: both share each training.")] = "cpu",
    slot: Annotated[str | None, typer.Option(help="This worker's name. [default: host and device]")] = None,
    once: Annotated[bool, typer.Option("--once", help="End when no job is left.")] = False,
    database: Annotated[
        str | None,
        typer.Option(envvar="UNSKEW_DATABASE_URL", help="URL of a shared database. [default: SQLite in the folder]"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether such a worker of this machine is alive: exit code 0 or 1.")
    ] = False,
    artifacts: Annotated[
        str | None,
        typer.Option(envvar="UNSKEW_ARTIFACTS", help="URL of the shared store of artifacts. [default: the folder]"),
    ] = None,
    ttl: Annotated[
        float, typer.Option(min=1, help="Seconds of silence after which this worker counts another as lost.")
    ] = jobs.LIVE_SECONDS,
    data: DataOption = None,
) -> None:
    """Run a worker: it takes jobs from the store until Ctrl-C."""
    if database:
        os.environ["UNSKEW_DATABASE_URL"] = database
    if artifacts:
        os.environ["UNSKEW_ARTIFACTS"] = artifacts
    with opened(data) as store:
        if check:
            with store.read() as session:
                alive = [name for name in jobs.live_slots(session) if name.startswith(slot or _slot(device))]
            out.print(", ".join(alive) or f"No worker on {device} of this machine is alive.", highlight=False)
            raise typer.Exit(0 if alive else 1)
        command = [sys.executable, "-m", "workers", "--data", str(store.data), "--device", device]
        command += ["--ttl", str(ttl)]
        command += ["--slot", slot] if slot else []
        command += ["--once"] if once else []
        environment = os.environ | {"UNSKEW_DATABASE_URL": store.url}
    os.execve(sys.executable, command, environment)


def _slot(device: str) -> str:
    """How the names of this machine's workers on a device begin."""
    return f"{socket.gethostname()}/{device}"


def wait_until_up(address: str, seconds: float = 30.0) -> None:
    """Wait until the API answers (used before a browser is opened)."""
    import httpx

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/healthz", timeout=1.0).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
