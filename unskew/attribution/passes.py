"""Going through a split batch by batch with a model in evaluation mode: what every feature engine shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.margins import loss, margin, one_minus_p
from unskew.attribution.records import Features
from unskew.discovery.rivals import KEPT, Rivals
from unskew.errors import DataError, ModelError, SettingsError, Stopped

Pixels = NDArray[Any] | torch.Tensor
Preprocess = Callable[[torch.Tensor], torch.Tensor]
OnStep = Callable[[int, int], None]
ShouldStop = Callable[[], bool]
NameOf = Callable[[int], str]

_BATCH_BYTES = {"cpu": 1024**3, "accelerator": 4 * 1024**3}
_LARGEST_BATCH = 256


@contextmanager
def evaluation_mode(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a model on a device in evaluation mode; modes, requires_grad flags and device are restored in the end."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    home = next((parameter.device for parameter in model.parameters()), device)
    model.eval()
    for name, module in model.named_modules():
        if module.training:
            raise ModelError(
                f"Module {name or 'model'!r} ({type(module).__name__}) stays in training mode after model.eval().",
                fix="Do not override train() or eval() there: features need the model as it predicts.",
            )
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


def trainable(model: nn.Module, grad_wrt: Sequence[str] | None = None) -> list[tuple[str, nn.Parameter]]:
    """Parameters that training moves: those with requires_grad, each once. A frozen one learns from no example.

    Args:
        grad_wrt: only parameters whose name matches one of these patterns ("fc.*", "*.weight").
    Raises:
        ModelError: there is none.
        SettingsError: a pattern matches none.
    """
    found = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not found:
        raise ModelError(
            f"{type(model).__name__} has no trainable parameter: attribution has nothing to differentiate by.",
            fix="Set requires_grad on the parameters that were trained.",
        )
    if grad_wrt is None:
        return found
    for pattern in grad_wrt:
        if not any(fnmatchcase(name, pattern) for name, _ in found):
            raise SettingsError(
                f"grad_wrt {pattern!r} matches no trainable parameter.",
                fix=f"The first are {', '.join(name for name, _ in found[:5])}; * matches anything.",
            )
    return [(name, p) for name, p in found if any(fnmatchcase(name, pattern) for pattern in grad_wrt)]


@dataclass(frozen=True)
class Batch:
    """Some consecutive examples on a device: input, label (n,), position of the first, and what messages call one."""

    x: torch.Tensor
    label: torch.Tensor
    start: int
    name: NameOf

    def __len__(self) -> int:
        return len(self.label)

    def part(self, start: int, stop: int) -> Batch:
        return Batch(self.x[start:stop], self.label[start:stop], self.start + start, self.name)

    def first(self, wrong: torch.Tensor) -> tuple[int, str]:
        """Index within the batch, and name, of the first example for which a bool (n,) is true."""
        index = int(wrong.nonzero()[0])
        return index, self.name(self.start + index)


class Split:
    """Examples of one split in batches on a device."""

    def __init__(
        self,
        pixels: Pixels,
        label: NDArray[np.int64],
        preprocess: Preprocess | None,
        device: torch.device,
        name: NameOf | None = None,
    ):
        if len(pixels) != len(label):
            raise DataError(f"There are {len(pixels)} examples and {len(label)} labels.", fix="Give one label a row.")
        if not len(label):
            raise DataError("The split has no example.", fix="Give at least one.")
        self._pixels = pixels
        self._label = torch.from_numpy(np.array(label, dtype=np.int64))
        self._device = device
        self._preprocess = preprocess or _default_preprocess
        self._name = name or "row {}".format
        self._channels_last = False

    def __len__(self) -> int:
        return len(self._label)

    def rows(self, start: int, stop: int) -> Batch:
        """Rows start … stop - 1, on the device."""
        part = self._pixels[start:stop]
        stored = part if isinstance(part, torch.Tensor) else torch.from_numpy(np.array(part))
        x = self._preprocess(stored.to(self._device))
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return Batch(x, self._label[start:stop].to(self._device), start, self._name)

    def batches(
        self, size: int, rows: tuple[int, int] | None, on_step: OnStep | None, should_stop: ShouldStop | None
    ) -> Iterator[Batch]:
        """All rows, or those from rows[0] to rows[1] - 1, in order; reports (done, all) after each batch.

        Raises:
            Stopped: should_stop(), which is asked before each batch, said so.
        """
        first, last = rows or (0, len(self))
        for start in range(first, last, size):
            if should_stop is not None and should_stop():
                raise Stopped
            stop = min(start + size, last)
            yield self.rows(start, stop)
            if on_step is not None:
                on_step(stop - first, last - first)

    def use_fastest_layout(self, model: nn.Module) -> None:
        """Store images channel by channel within a pixel, where that helps and the model can take it.

        On a CPU it makes convolutions 1.2 to 4 times faster and changes no result beyond rounding; but a model that
        calls `.view` on what a convolution returns refuses it.
        """
        x = self.rows(0, 3).x
        if self._device.type != "cpu" or x.dim() != 4:
            return
        try:
            with torch.no_grad():
                model(x.contiguous(memory_format=torch.channels_last))
        except RuntimeError:
            return
        self._channels_last = True


def _default_preprocess(batch: torch.Tensor) -> torch.Tensor:
    """Stored inputs become a network's input; floating-point numbers are taken to be an input already."""
    from unskew.models import preprocess  # here, so that this room does not depend on that one at import

    return preprocess(batch)


def logits_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Logits of a batch, checked: (n, n_classes >= 2), every label among the classes.

    Raises:
        ModelError: wrong shape.
        DataError: a label missing or out of range; its example is named.
    """
    logits, n = model(batch.x), len(batch)
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != n or logits.shape[1] < 2:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"The model returned {shape} for {n} examples; need logits ({n}, n_classes >= 2).",
            fix="Return one row of logits an example; a binary model needs two.",
        )
    wrong = (batch.label < 0) | (batch.label >= logits.shape[1])
    if wrong.any():
        index, name = batch.first(wrong)
        label = int(batch.label[index])
        if label < 0:
            raise DataError(f"There is no label at {name}.", fix="Label it, or leave it out.")
        raise DataError(
            f"Label {label} at {name} is not among the model's {logits.shape[1]} classes.",
            fix="Use a model with one output a class.",
        )
    return logits


class Collector:
    """Arrays of some rows of a split, filled batch by batch in order."""

    def __init__(self, n: int, width: int, dtype: str) -> None:
        self._phi = np.empty((n, width), dtype=dtype)
        self._scale = np.ones(n, dtype=np.float32)
        self._one_minus_p = np.empty(n, dtype=np.float32)
        self._loss = np.empty(n, dtype=np.float32)
        self._prediction = np.empty(n, dtype=np.int64)
        self._rivals: list[Rivals] = []
        self._done = 0

    def put(self, batch: Batch, phi: torch.Tensor, logits: torch.Tensor, f: torch.Tensor) -> None:
        """Store a batch.

        Raises:
            ModelError: a feature is not finite; its example is named.
        """
        rows = slice(self._done, self._done + len(batch))
        self._done += len(batch)
        phi = phi.float()
        finite = torch.isfinite(phi).all(1)
        if not finite.all():
            raise ModelError(f"The gradient of {batch.first(~finite)[1]} is not finite.", fix="Use another checkpoint.")
        if self._phi.dtype == np.float16:  # a power of two a row, so that nothing over- or underflows
            scale = torch.exp2(torch.ceil(torch.log2(phi.abs().amax(1).clamp_min(1e-30))))
            self._scale[rows], phi = scale.cpu().numpy(), phi / scale[:, None]
        self._phi[rows] = phi.cpu().numpy()
        f = f.detach().float()
        self._one_minus_p[rows] = one_minus_p(f).cpu().numpy()
        self._loss[rows] = loss(f).cpu().numpy()
        self._prediction[rows] = logits.detach().argmax(1).cpu().numpy()
        self._rivals.append(rivals_of(logits.detach().float(), batch.label))

    def features(self, covered: float) -> Features:
        scale = self._scale if self._phi.dtype == np.float16 else None
        rivals = Rivals.stacked(self._rivals) if self._rivals else None
        return Features(self._phi, self._one_minus_p, self._loss, self._prediction, covered, scale, rivals)


def rivals_of(logits: torch.Tensor, label: torch.Tensor) -> Rivals:
    """The likeliest classes other than the true one, and their shares of the probability of those kept."""
    others = logits.scatter(1, label[:, None], -torch.inf)
    kept = others.topk(min(KEPT, logits.shape[1] - 1), dim=1)
    return Rivals(kept.indices.to(torch.int32).cpu().numpy(), kept.values.softmax(1).cpu().numpy())


def checked_margin(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Margins of a batch, (n,).

    Raises:
        ModelError: one is not finite; its example is named.
    """
    f = margin(logits, batch.label)
    finite = torch.isfinite(f.detach())
    if not finite.all():
        index, name = batch.first(~finite)
        raise ModelError(
            f"The margin of {name} is {float(f[index])}: the checkpoint's logits are not finite.",
            fix="Use a checkpoint from before training diverged.",
        )
    return f


@contextmanager
def saved_bytes() -> Iterator[list[int]]:
    """Count what automatic differentiation keeps between forward and backward, in the list's one number."""
    total, seen = [0], set()

    def pack(t: torch.Tensor) -> torch.Tensor:
        if t.data_ptr() not in seen:
            seen.add(t.data_ptr())
            total[0] += t.numel() * t.element_size()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        yield total


def automatic_batch_size(bytes_per_example: float, device: torch.device) -> int:
    """The power of two, at most 256, whose activations stay within a fixed budget.

    Not a share of the free memory: results must not depend on what else runs, and a batch that fails for lack of
    memory is halved anyway.
    """
    budget = _BATCH_BYTES["cpu" if device.type == "cpu" else "accelerator"]
    fits = max(1.0, budget / max(1.0, bytes_per_example))
    return int(min(_LARGEST_BATCH, 2 ** math.floor(math.log2(fits))))
