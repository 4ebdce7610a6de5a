"""Many small networks at once: the same two-layer network for every data set and seed, trained by batched products.

A calibration needs hundreds of trainings. One at a time, a network this small spends its time between the products;
stacked, 64 of them train in about the time of three (2 CPU cores, 3,000 images of 7 × 7 pixels, 10 epochs).
Each network sees its own rows in its own order; AdamW works element by element, so they do not touch one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from unskew.data import SplitArrays
from unskew.models import preprocess

HIDDEN = 32
EPOCHS, BATCH, LEARNING_RATE = 10, 64, 3e-3

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Fit:
    """One network to train: the rows it may use (None: all), and its seed."""

    train: SplitArrays
    seed: int
    keep: NDArray[np.int64] | None = None


def network(image_size: int, n_classes: int) -> nn.Module:
    """The network whose state dicts `fit_many` returns."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_classes))


def fit_many(fits: Sequence[Fit], n_classes: int) -> list[State]:
    """Train every network for as many steps as an epoch count over the largest set gives.

    Returns:
        State dicts for `network`, in the order of `fits`.
    """
    inputs, labels, offsets = _stacked(fits)
    states = [_initial(fit, n_classes) for fit in fits]
    w1, b1, w2, b2 = (torch.stack([s[name] for s in states]).requires_grad_() for name in _NAMES)
    steps = EPOCHS * -(-max(len(_rows(fit)) for fit in fits) // BATCH)
    optimizer = torch.optim.AdamW([w1, b1, w2, b2], lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    orders = [_order(fit, steps) + offset for fit, offset in zip(fits, offsets, strict=True)]
    index = torch.from_numpy(np.stack(orders))  # (n_fits, steps, batch)
    for step in range(steps):
        rows = index[:, step]
        hidden = torch.baddbmm(b1[:, None], inputs[rows], w1.transpose(1, 2)).relu()
        logits = torch.baddbmm(b2[:, None], hidden, w2.transpose(1, 2))  # (n_fits, batch, n_classes)
        loss = F.cross_entropy(logits.flatten(0, 1), labels[rows].flatten(), reduction="sum") / BATCH
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    trained = zip(*(parameter.detach() for parameter in (w1, b1, w2, b2)), strict=True)
    return [dict(zip(_NAMES, (p.clone() for p in parameters), strict=True)) for parameters in trained]


_NAMES = ("1.weight", "1.bias", "3.weight", "3.bias")


@torch.no_grad()
def predictions(states: Sequence[State], split: SplitArrays) -> NDArray[np.int64]:
    """int64 (n_states, n): the class of the largest logit."""
    x = preprocess(torch.from_numpy(split.inputs)).flatten(1)
    return np.stack(
        [
            (F.linear(F.linear(x, s[_NAMES[0]], s[_NAMES[1]]).relu(), s[_NAMES[2]], s[_NAMES[3]])).argmax(1).numpy()
            for s in states
        ]
    )


def _stacked(fits: Sequence[Fit]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Inputs and labels of the distinct sets, one after the other, and where each fit's set begins."""
    start: dict[int, int] = {}
    parts: list[SplitArrays] = []
    for fit in fits:
        if id(fit.train) not in start:
            start[id(fit.train)] = sum(len(part) for part in parts)
            parts.append(fit.train)
    inputs = torch.cat([preprocess(torch.from_numpy(part.inputs)).flatten(1) for part in parts])
    labels = torch.cat([torch.from_numpy(part.label) for part in parts])
    return inputs, labels, [start[id(fit.train)] for fit in fits]


def _rows(fit: Fit) -> NDArray[np.int64]:
    return np.arange(len(fit.train)) if fit.keep is None else fit.keep


def _order(fit: Fit, steps: int) -> NDArray[np.int64]:
    """Whole passes over the fit's rows, each in a new order, cut into batches: int64 (steps, batch)."""
    rng, rows = np.random.default_rng(fit.seed), _rows(fit)
    passes = -(-steps * BATCH // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])[: steps * BATCH].reshape(steps, BATCH)


def _initial(fit: Fit, n_classes: int) -> State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        made = network(fit.train.inputs.shape[-1], n_classes)
    return {name: value.clone() for name, value in made.state_dict().items()}
