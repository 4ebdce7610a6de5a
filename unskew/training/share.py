"""One training on several processes of one host: each learns from its share of every batch.

Torch's own launcher starts the processes (`torchrun`), and each calls `train` with the same arguments. Gradients are
added up before every step, so that all hold the same weights at any time. The batch stays what it was: more processes
mean smaller shares, not larger batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray


@dataclass(frozen=True)
class Share:
    """Which process this is, of how many; by itself, it learns from everything."""

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls) -> Share:
        """This process's place in the process group that torch's launcher made."""
        together = dist.is_available() and dist.is_initialized()
        return cls(dist.get_rank(), dist.get_world_size()) if together else cls()

    @property
    def first(self) -> bool:
        """Whether this process reports, and keeps what must survive."""
        return self.rank == 0

    def of(self, n: int) -> NDArray[np.int64]:
        """Which of n rows are ours; neighbours, none twice."""
        return np.array_split(np.arange(n), self.world)[self.rank]

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Make each tensor the sum over all processes, in one exchange."""
        given = list(tensors)
        if self.world == 1 or not given:
            return
        flat = torch.cat([t.reshape(-1).float() for t in given])
        dist.all_reduce(flat)
        for tensor, total in zip(given, torch.split(flat, [t.numel() for t in given]), strict=True):
            tensor.copy_(total.view_as(tensor))

    @torch.no_grad()
    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """What each process counted on its own share (running means of batch norm) becomes the same everywhere."""
        given = [t for t in tensors if t.is_floating_point()]
        self.add_up(given)
        for tensor in given if self.world > 1 else ():
            tensor /= self.world

    def any(self, here: bool, device: torch.device) -> bool:
        """Whether it is true in some process."""
        if self.world == 1:
            return here
        flag = torch.tensor(float(here), device=device)
        dist.all_reduce(flag)
        return bool(flag > 0)
