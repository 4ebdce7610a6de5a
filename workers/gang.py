"""A worker with several devices: torch's launcher starts a process for each. The first takes jobs; in a training all
work, each on its share of every batch. Whatever else a job does, the first does alone.

If one process dies the launcher ends the others; the job goes on in the next worker, as after any kill.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from unskew.errors import ModelError, SettingsError, Stopped, UnskewError
from unskew.training.share import Share

log = logging.getLogger("unskew.worker")
PATIENCE = timedelta(days=365)  # the others wait for the first, however long no job comes


def join(device: str) -> Share:
    """Enter the group that the launcher made."""
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    return Share.here()


def tell(task: Any) -> None:
    """From the first process: what all do next. Nothing to tell where there are no others."""
    if Share.here().world > 1:
        dist.broadcast_object_list([task], src=0, device=torch.device("cpu"))


@contextmanager
def together() -> Iterator[None]:
    """An error that the others need not have had leaves them waiting: end, so that the launcher ends them too."""
    try:
        yield
    except (Stopped, ModelError, SettingsError):
        raise
    except Exception:
        if Share.here().world == 1:
            raise
        log.exception("this process failed; all end")
        logging.shutdown()
        os._exit(1)


def follow(perform: Callable[[Any], object]) -> None:
    """In the other processes: do what the first does, until it says None or the launcher ends this process."""
    while True:
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        if heard[0] is None:
            return
        try:
            perform(heard[0])
        except (Stopped, UnskewError) as error:  # the first had the same, and says so
            log.info("not finished: %s", error or "stopped")
