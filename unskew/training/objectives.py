"""Objectives: what a batch's loss is. Cross-entropy, GroupDRO's weighted group losses, LISA's mixed images."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

State = dict[str, torch.Tensor]


class Objective(Protocol):
    """`loss` takes model, input float (batch, …), label int64 (batch,) and training positions int64 (batch,).

    Attributes:
        adds_up: a batch's loss is the mean of its examples' own: its gradient can be added up from parts of the batch.
    """

    adds_up: bool

    def loss(
        self, model: nn.Module, inputs: torch.Tensor, label: torch.Tensor, rows: NDArray[np.int64]
    ) -> torch.Tensor: ...
    def state(self) -> State: ...
    def load(self, state: State) -> None: ...


class CrossEntropy:
    """Mean cross-entropy of the batch [nats]."""

    adds_up = True

    def loss(
        self, model: nn.Module, inputs: torch.Tensor, label: torch.Tensor, rows: NDArray[np.int64]
    ) -> torch.Tensor:
        return F.cross_entropy(model(inputs), label)

    def state(self) -> State:
        return {}

    def load(self, state: State) -> None:
        return None


class GroupDRO:
    """Σ_g q_g · (mean loss of g in the batch), with q_g ← q_g · exp(η · that mean), then scaled to sum 1.

    q starts uniform over the groups that have training rows; it moves before it weighs. A group without a row in the
    batch keeps its q up to the scaling and adds nothing.

    Source: Sagawa et al. 2020, algorithm 1; no generalisation adjustment (C = 0).
    """

    adds_up = False

    def __init__(self, group: NDArray[np.int64], step_size: float, device: torch.device) -> None:
        present = np.bincount(group[group >= 0]) > 0
        self._group = group
        self._step_size = step_size
        self.q = torch.tensor(present / present.sum(), dtype=torch.float32, device=device)

    def loss(
        self, model: nn.Module, inputs: torch.Tensor, label: torch.Tensor, rows: NDArray[np.int64]
    ) -> torch.Tensor:
        each = F.cross_entropy(model(inputs), label, reduction="none")
        group = torch.from_numpy(self._group[rows]).to(each.device)
        total = torch.zeros_like(self.q).index_add(0, group, each)
        n = torch.zeros_like(self.q).index_add(0, group, torch.ones_like(each))
        mean = total / n.clamp(min=1)  # (n_groups,), 0 where the batch has none
        self.q = self.q * torch.exp(self._step_size * mean.detach())
        self.q = self.q / self.q.sum()
        return (self.q * mean).sum()

    def state(self) -> State:
        return {"q": self.q}

    def load(self, state: State) -> None:
        self.q = state["q"].to(self.q.device)


class Lisa:
    """Cross-entropy on mixtures of two images of the batch, a fresh share from Beta(b, b) for each.

    With chance `same_label` the partner has the same label and another attribute (what is mixed is the attribute); else
    the same attribute and another label (what is mixed is the label). Images without a partner in the batch stay out;
    a batch without any pair is trained on as it is.

    Source: Yao et al. 2022, algorithm 1, mixup variant.
    """

    adds_up = False

    def __init__(self, attribute: NDArray[np.int64], n_classes: int, same_label: float, beta: float) -> None:
        self._attribute = attribute
        self._n_classes = n_classes
        self._same_label = same_label
        self._beta = torch.distributions.Beta(beta, beta)

    def loss(
        self, model: nn.Module, inputs: torch.Tensor, label: torch.Tensor, rows: NDArray[np.int64]
    ) -> torch.Tensor:
        first, second = self._pairs(label.cpu(), torch.from_numpy(self._attribute[rows]))
        if not len(first):
            return F.cross_entropy(model(inputs), label)
        first, second = first.to(inputs.device), second.to(inputs.device)
        share = self._beta.sample((len(first),)).to(inputs.device)
        spread = share.view(-1, *[1] * (inputs.ndim - 1))
        mixed = spread * inputs[first] + (1 - spread) * inputs[second]
        target = F.one_hot(label, self._n_classes).to(mixed.dtype)
        return F.cross_entropy(model(mixed), share[:, None] * target[first] + (1 - share[:, None]) * target[second])

    def _pairs(self, label: torch.Tensor, attribute: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions in the batch: every image that has a partner, and the partner drawn for it."""
        same_label = label[:, None] == label[None, :]
        same_attribute = attribute[:, None] == attribute[None, :]
        within = bool(torch.rand(()) < self._same_label)
        allowed = same_label & ~same_attribute if within else same_attribute & ~same_label
        known = attribute >= 0
        allowed &= known[:, None] & known[None, :]
        first = allowed.any(dim=1).nonzero()[:, 0]
        if not len(first):
            return first, first
        return first, torch.multinomial(allowed[first].to(torch.float32), 1)[:, 0]

    def state(self) -> State:
        return {}

    def load(self, state: State) -> None:
        return None
