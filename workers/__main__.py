"""`python -m workers`: take jobs from a store until told to stop."""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from backend import logs
from backend.store import jobs
from backend.store.db import PATIENT_SECONDS, Store, is_full
from backend.store.locks import try_lock
from unskew.errors import ConflictError, SettingsError, UnskewError

log = logging.getLogger("unskew.worker")
PR_SET_PDEATHSIG = 1
NICE = 5  # on a machine that serves people too, they come first


def main() -> int:
    args = arguments()
    os.nice(NICE)
    launched, devices = "LOCAL_RANK" in os.environ, args.device.split(",")
    if launched or args.die_with_parent is not None:
        die_with(os.getppid() if launched else args.die_with_parent)
    if len(devices) > 1 and not launched:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(len(devices))]
        os.execv(sys.executable, [sys.executable, *launcher, "-m", "workers", *sys.argv[1:]])
    args.device = devices[int(os.environ["LOCAL_RANK"])] if launched else devices[0]
    try:
        logs.configure(default="info")
        store = Store.open(args.data, busy_seconds=PATIENT_SECONDS)
        held = take_device(args.device)  # until this process ends
    except UnskewError as error:
        log.error("%s", error)
        return 1
    if launched and not takes_jobs(store, args.device):
        os._exit(0)  # what the group left running in the background does not end well by itself
    slot, lock = take_slot(store.data, args.slot or default_slot(store, args.device), fixed=args.slot is not None)
    if lock is None:
        log.error("A worker named %s runs already; give this one another --slot.", slot)
        return 1
    log.debug("held: %s", held)
    return serve(store, slot, args)


def serve(store: Store, slot: str, args: argparse.Namespace) -> int:
    """Beat, take over what silent workers left, and end on SIGTERM, SIGINT, or with `--once` when nothing is left."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with store.session() as session:
        jobs.beat(session, slot, args.device)  # before launch, or a peer may think us dead
    from workers import engine  # only now: DBOS registers its workflows on import
    from workers.repair import Repair

    repair = Repair(store)
    engine.launch(store, slot, args.device)
    log.info("worker %s takes jobs from %s", slot, store.data)
    every = 0.5 if args.once else min(1.0, args.ttl / 5)
    while not stop.wait(every):
        try:
            with store.session() as session:  # as short as it can be: meanwhile nobody else writes to SQLite
                jobs.beat(session, slot, args.device)
            with store.read() as session:
                idle = jobs.n_active(session) == 0
            engine.take_over(store, slot, args.ttl)
            repair()
        except Exception as error:
            if is_full(error):
                log.error("The disk of %s is full; trying again.", store.data)
            else:
                log.exception("beat failed; trying again")
            continue
        if args.once and idle:
            if "LOCAL_RANK" in os.environ:
                from workers import gang

                gang.tell(None)
            break
    with store.session() as session:
        jobs.forget(session, slot)
    log.info("worker %s ends", slot)
    logging.shutdown()
    os._exit(0)  # a step in hand is taken up by the next worker; waiting for it could take hours


def takes_jobs(store: Store, device: str) -> bool:
    """Join the processes of the other devices. The first takes jobs; another helps it from here on, until it ends."""
    from workers import gang, runs

    if gang.join(device).first:
        return True
    gang.follow(lambda task: runs.perform(store, task, device))
    return False


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--data", type=Path, help="data folder [default: UNSKEW_DATA, else the user's]")
    parser.add_argument("--slot", help="this worker's name; jobs left by an earlier worker of that name go on first")
    parser.add_argument(
        "--device", type=numbered, default="cpu", help="cpu, cuda:0, mps; cuda:0,cuda:1: both share a training"
    )
    parser.add_argument("--once", action="store_true", help="end when no job is queued or running")
    parser.add_argument(
        "--ttl", type=float, default=jobs.LIVE_SECONDS, help="seconds of silence after which a worker counts as dead"
    )
    parser.add_argument(
        "--die-with-parent",
        type=int,
        nargs="?",
        const=os.getppid(),
        metavar="PID",
        help="end when our parent ends; its number, so that a parent which is gone already is noticed",
    )
    return parser.parse_args()


def default_slot(store: Store, device: str) -> str:
    """Host and device; on a shared database also the data folder, for one host may have several."""
    name = f"{socket.gethostname()}/{device}"
    shared = not store.url.startswith("sqlite")
    return f"{name}@{hashlib.sha256(str(store.data).encode()).hexdigest()[:6]}" if shared else name


def take_slot(data: Path, wanted: str, *, fixed: bool) -> tuple[str, object | None]:
    """The slot and its lock. Without a fixed name, the first free of name, name-2, name-3, …"""
    for number in range(1, 2 if fixed else 65):
        name = wanted if number == 1 else f"{wanted}-{number}"
        lock = try_lock(data / "locks" / ("worker-" + re.sub(r"[^\w.-]", "_", name)))
        if lock is not None:
            return name, lock
    return wanted, None


def numbered(device: str) -> str:
    return ",".join("cuda:0" if name == "cuda" else name for name in device.split(","))


def take_device(device: str) -> object | None:
    """An accelerator's lock: one worker a device on this machine, whatever its data folder. The CPU has none.

    Raises:
        SettingsError: there is no such device. ConflictError: another worker has it.
    """
    if device == "cpu":
        return None
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"The device {device} cannot be used: {str(error).splitlines()[0]}.", fix="Say --device cpu, or another."
        ) from error
    name = str(torch.cuda.get_device_properties(device).uuid) if device.startswith("cuda") else device
    lock = try_lock(Path(tempfile.gettempdir()) / f"unskew-{os.getuid()}-{name}.lock")
    if lock is None:
        raise ConflictError(
            f"Another worker of this machine has {device}.", fix="One device, one worker: end it first."
        )
    return lock


def die_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies (Linux); elsewhere the parent must end us itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
