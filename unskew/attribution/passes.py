"""Going through a split batch by batch with a model in evaluation mode: what every feature engine shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.margins import loss, margin, one_minus_p
from unskew.attribution.records import Features
from unskew.errors import DataError, ModelError, Stopped

Pixels = NDArray[np.uint8] | torch.Tensor
Preprocess = Callable[[torch.Tensor], torch.Tensor]
OnStep = Callable[[int, int], None]
ShouldStop = Callable[[], bool]


@contextmanager
def evaluation_mode(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a model on a device in evaluation mode; modes, requires_grad flags and device are restored in the end."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    home = next((parameter.device for parameter in model.parameters()), device)
    model.eval()
    try:
        if home != device:
            model.to(device)
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        if home != device:
            model.to(home)


def trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters that training moves: those with requires_grad, each once. A frozen one learns from no example.

    Raises:
        ModelError: there is none.
    """
    found = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not found:
        raise ModelError(
            f"{type(model).__name__} has no trainable parameter: attribution has nothing to differentiate by.",
            fix="Set requires_grad on the parameters that were trained.",
        )
    return found


class Split:
    """Examples of one split in batches on a device."""

    def __init__(self, pixels: Pixels, label: NDArray[np.int64], preprocess: Preprocess | None, device: torch.device):
        if len(pixels) != len(label):
            raise DataError(f"There are {len(pixels)} examples and {len(label)} labels.", fix="Give one label a row.")
        if not len(label):
            raise DataError("The split has no example.", fix="Give at least one.")
        self._pixels = pixels
        self._label = torch.from_numpy(np.array(label, dtype=np.int64))
        self._device = device
        self._preprocess = preprocess or _default_preprocess
        self._channels_last = False

    def __len__(self) -> int:
        return len(self._label)

    def rows(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and label of rows start … stop - 1, on the device."""
        part = self._pixels[start:stop]
        batch = part if isinstance(part, torch.Tensor) else torch.from_numpy(np.array(part))
        x = self._preprocess(batch.to(self._device))
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return x, self._label[start:stop].to(self._device)

    def use_fastest_layout(self, model: nn.Module) -> None:
        """Store images channel by channel within a pixel, where that helps and the model can take it.

        On a CPU it makes convolutions 1.2 to 4 times faster and changes no result beyond rounding; but a model that
        calls `.view` on what a convolution returns refuses it.
        """
        x, _ = self.rows(0, 3)
        if self._device.type != "cpu" or x.dim() != 4:
            return
        try:
            with torch.no_grad():
                model(x.contiguous(memory_format=torch.channels_last))
        except RuntimeError:
            return
        self._channels_last = True


def _default_preprocess(batch: torch.Tensor) -> torch.Tensor:
    """Stored pixels become a network's input; anything that is not uint8 is taken to be an input already."""
    from unskew.models import preprocess  # here, so that this room does not depend on that one at import

    return preprocess(batch) if batch.dtype == torch.uint8 else batch


def logits_of(model: nn.Module, x: torch.Tensor, label: torch.Tensor, start: int) -> torch.Tensor:
    """Logits of a batch, checked: (n, n_classes >= 2), every label among the classes.

    Raises:
        ModelError: wrong shape.
        DataError: a label out of range; its row is named.
    """
    logits = model(x)
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"The model returned {shape} for {len(x)} examples; need logits ({len(x)}, n_classes >= 2).",
            fix="Return one row of logits an example; a binary model needs two.",
        )
    wrong = (label < 0) | (label >= logits.shape[1])
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise DataError(
            f"Label {int(label[row])} at row {start + row} is not among the model's {logits.shape[1]} classes.",
            fix="Use a model with one output a class.",
        )
    return logits


class Collector:
    """Arrays of a whole split, filled batch by batch."""

    def __init__(self, n: int, width: int) -> None:
        self._phi = np.empty((n, width), dtype=np.float32)
        self._one_minus_p = np.empty(n, dtype=np.float32)
        self._loss = np.empty(n, dtype=np.float32)
        self._prediction = np.empty(n, dtype=np.int64)

    def put(self, start: int, phi: torch.Tensor, logits: torch.Tensor, f: torch.Tensor) -> None:
        """Store a batch.

        Raises:
            ModelError: a feature is not finite; its row is named.
        """
        rows = slice(start, start + len(phi))
        self._phi[rows] = phi.float().cpu().numpy()
        finite = np.isfinite(self._phi[rows]).all(axis=1)
        if not finite.all():
            raise ModelError(
                f"The gradient of row {start + int(np.argmin(finite))} is not finite.", fix="Use another checkpoint."
            )
        f = f.detach().float()
        self._one_minus_p[rows] = one_minus_p(f).cpu().numpy()
        self._loss[rows] = loss(f).cpu().numpy()
        self._prediction[rows] = logits.detach().argmax(1).cpu().numpy()

    def features(self, covered: float) -> Features:
        return Features(self._phi, self._one_minus_p, self._loss, self._prediction, covered)


def checked_margin(logits: torch.Tensor, label: torch.Tensor, start: int) -> torch.Tensor:
    """Margins of a batch, (n,).

    Raises:
        ModelError: one is not finite; its row in the split is named.
    """
    f = margin(logits, label)
    finite = torch.isfinite(f.detach())
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise ModelError(
            f"The margin of row {start + row} is {float(f[row])}: the checkpoint's logits are not finite.",
            fix="Use a checkpoint from before training diverged.",
        )
    return f


def starts(n: int, batch_size: int, on_step: OnStep | None, should_stop: ShouldStop | None) -> Iterator[int]:
    """First row of every batch; reports (rows done, n) after each and asks before each whether to stop.

    Raises:
        Stopped: should_stop() said so.
    """
    for start in range(0, n, batch_size):
        if should_stop is not None and should_stop():
            raise Stopped
        yield start
        if on_step is not None:
            on_step(min(start + batch_size, n), n)
