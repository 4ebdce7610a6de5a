"""Batches of stored inputs on a device: no loader processes, because indexing an array is faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_KEEP_IN_MEMORY = 2 * 1024**3  # bytes of a memory-mapped split that are read once rather than page by page
_SHARE_OF_DEVICE = 0.4  # of the free device memory that a split may take


class InputSource:
    """Stored inputs by position. Kept whole on the device when it has room, else copied batch by batch."""

    def __init__(self, inputs: NDArray[Any], device: torch.device) -> None:
        if isinstance(inputs, np.memmap) and inputs.nbytes <= _KEEP_IN_MEMORY:
            inputs = np.array(inputs)
        self._array = inputs
        self._device = device
        self._whole: torch.Tensor | None = None
        if device.type == "cuda" and inputs.nbytes <= _SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
            self._whole = torch.from_numpy(np.array(inputs)).to(device)

    def __len__(self) -> int:
        return len(self._array)

    def batch(self, index: NDArray[np.int64]) -> torch.Tensor:
        """(len(index), …) on the device, as stored."""
        if self._whole is not None:
            return self._whole[torch.from_numpy(index).to(self._device)]
        return torch.from_numpy(np.take(self._array, index, axis=0)).to(self._device)
