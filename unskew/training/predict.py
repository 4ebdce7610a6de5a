"""Predictions and losses of a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from unskew.errors import Stopped
from unskew.evaluation import Predictions
from unskew.memory import ERRORS, ran_out
from unskew.models import preprocess
from unskew.training.inputs import InputSource


@torch.no_grad()
def predict(
    model: nn.Module,
    inputs: NDArray[Any] | InputSource,
    label: NDArray[np.int64],
    *,
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    should_stop: Callable[[], bool] | None = None,
) -> Predictions:
    """Run a model over one split, in evaluation mode; the mode it had is restored.

    Args:
        inputs: (n, …), as `SplitArrays` has them.
        label: int64 (n,).
        device: where the model is.
        should_stop: asked before every batch.
    Raises:
        Stopped: should_stop() said so.
    """
    target = torch.from_numpy(np.array(label, dtype=np.int64))  # a copy: stored labels may be read-only
    prediction, loss = np.empty(len(target), dtype=np.int64), np.empty(len(target), dtype=np.float32)
    for index, logits in _logits(model, inputs, batch_size, device, should_stop):
        each = F.cross_entropy(logits, target[index], reduction="none")
        prediction[index], loss[index] = logits.argmax(dim=1).numpy(), each.numpy()
    return Predictions(prediction, loss)


@torch.no_grad()
def margins(
    model: nn.Module,
    inputs: NDArray[Any] | InputSource,
    label: NDArray[np.int64],
    *,
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    should_stop: Callable[[], bool] | None = None,
) -> NDArray[np.float32]:
    """log p/(1 - p) of each example's class, float32 (n,): what attributions are about. Arguments as `predict`."""
    target = torch.from_numpy(np.array(label, dtype=np.int64))
    found = np.empty(len(target), dtype=np.float32)
    for index, logits in _logits(model, inputs, batch_size, device, should_stop):
        own = target[index][:, None]
        others = logits.scatter(1, own, -torch.inf).logsumexp(dim=1)
        found[index] = (logits.gather(1, own)[:, 0] - others).numpy()
    return found


def _logits(
    model: nn.Module,
    inputs: NDArray[Any] | InputSource,
    batch_size: int,
    device: str | torch.device,
    should_stop: Callable[[], bool] | None,
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Positions and logits, float32 on the CPU, batch by batch in evaluation mode; the mode it had is restored."""
    place = torch.device(device)
    source = inputs if isinstance(inputs, InputSource) else InputSource(inputs, place)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(source), batch_size):
            if should_stop is not None and should_stop():
                raise Stopped
            index = np.arange(start, min(start + batch_size, len(source)), dtype=np.int64)
            yield from _halving(model, source, index)
    finally:
        model.train(was_training)


def _halving(
    model: nn.Module, source: InputSource, index: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """A batch's logits; where memory runs out, those of its halves."""
    try:
        logits = model(preprocess(source.batch(index))).float().cpu()
    except ERRORS as error:
        if len(index) == 1 or not ran_out(error):
            raise
        logits = None
    if logits is not None:
        yield index, logits
        return
    for part in np.array_split(index, 2):
        yield from _halving(model, source, part)
