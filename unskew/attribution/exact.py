"""Exact per-example gradients through `torch.func`, without projection: the slow reference, for small models."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad, vmap

from unskew.attribution.margins import margin
from unskew.attribution.passes import (
    Collector,
    NameOf,
    OnStep,
    Pixels,
    Preprocess,
    ShouldStop,
    Split,
    checked_margin,
    evaluation_mode,
    logits_of,
    trainable,
)
from unskew.attribution.records import Features
from unskew.errors import SettingsError
from unskew.schemas.params import AttributeParams

_LIMIT = 2 * 1024**3  # numbers in phi: 8 GiB
_BATCH_LIMIT = 32 * 1024**2  # numbers of gradients at a time


def featurize_exact(
    model: nn.Module,
    pixels: Pixels,
    label: NDArray[np.int64],
    *,
    params: AttributeParams | None = None,
    device: str | torch.device = "cpu",
    preprocess: Preprocess | None = None,
    rows: tuple[int, int] | None = None,
    name: NameOf | None = None,
    on_step: OnStep | None = None,
    should_stop: ShouldStop | None = None,
) -> Features:
    """Whole gradients of the margin by every trainable parameter, in the order of `model.named_parameters()`.

    Takes and restores what `unskew.attribution.featurize` does; covers every kind of layer that `torch.func` can map.

    Returns:
        phi float32 (n, number of trainable parameters), covered = 1.
    Raises:
        SettingsError: n × parameters is over 8 GiB.
        ModelError, DataError, Stopped: as `featurize`.
    """
    params = params or AttributeParams()
    place = torch.device(device)
    split = Split(pixels, label, preprocess, place, name)
    chosen = trainable(model, params.grad_wrt)
    names, width = [name for name, _ in chosen], sum(p.numel() for _, p in chosen)
    first, last = rows or (0, len(split))
    if len(split) * width > _LIMIT:
        raise SettingsError(
            f"{len(split)} whole gradients of {width} parameters are {len(split) * width * 4 / 1024**3:.0f} GiB.",
            fix="Use engine 'factored'.",
        )
    collector = Collector(last - first, width, params.storage)
    with evaluation_mode(model, place):
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        weights = {name: tensors[name].detach() for name in names}
        others = {name: tensor.detach() for name, tensor in tensors.items() if name not in weights}

        def f(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits = functional_call(model, (weights, others), (x[None],))
            return margin(logits, y[None])[0]

        each = vmap(grad(f), in_dims=(None, 0, 0))
        batch_size = max(1, min(params.batch_size or 256, _BATCH_LIMIT // width))
        for batch in split.batches(batch_size, rows, on_step, should_stop):
            with torch.no_grad():
                logits = logits_of(model, batch)
                margins = checked_margin(logits, batch)
            found = each(weights, batch.x, batch.label)
            phi = torch.cat([found[name].reshape(len(batch), -1) for name in names], dim=1)
            collector.put(batch, phi, logits, margins)
    return collector.features(1.0)
