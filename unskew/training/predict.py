"""Predictions and losses of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from unskew.errors import Stopped
from unskew.evaluation import Predictions
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
    place = torch.device(device)
    source = inputs if isinstance(inputs, InputSource) else InputSource(inputs, place)
    target = torch.from_numpy(np.array(label, dtype=np.int64))  # a copy: stored labels may be read-only
    prediction = np.empty(len(target), dtype=np.int64)
    loss = np.empty(len(target), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(target), batch_size):
            if should_stop is not None and should_stop():
                raise Stopped
            index = np.arange(start, min(start + batch_size, len(target)), dtype=np.int64)
            logits = model(preprocess(source.batch(index))).float()  # (batch, n_classes)
            each = F.cross_entropy(logits, target[start : start + batch_size].to(place), reduction="none")
            prediction[index] = logits.argmax(dim=1).cpu().numpy()
            loss[index] = each.cpu().numpy()
    finally:
        model.train(was_training)
    return Predictions(prediction, loss)
