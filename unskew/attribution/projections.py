"""Where each parameter's gradient goes in a feature vector, and the random projections on the way.

A weight is read as a matrix (rows = first dimension, columns = all others) and its gradient G is reduced to
P_rows G P_colsᵀ, with normal entries of variance 1 / k, so that inner products are kept in expectation. A side that is
no longer than its k is not projected. Biases and norm layers' parameters are vectors: kept whole while all of them
together are few, else the long ones are sketched. Projections belong to parameters, not modules, so that a parameter
that several modules share gets the sum of its gradients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

# All vectors of a network are kept whole up to this many numbers in total; a ResNet-18 has 9,602, more than all its
# projected weights together, and gains nothing from them.
_VECTOR_BUDGET = 1024


@dataclass
class Slot:
    """Columns of one parameter in a feature vector.

    Attributes:
        rows: (k_rows, n_rows), or None where rows are kept. For a vector: its sketch.
        cols: (k_cols, n_cols), or None where columns are kept, and for vectors.
        start, width: columns of the feature vector.
    """

    name: str
    parameter: nn.Parameter
    rows: torch.Tensor | None
    cols: torch.Tensor | None
    width: int
    start: int = 0

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.width)

    def project(self, gradient: torch.Tensor) -> torch.Tensor:
        """Reduce whole per-example gradients, (n, *parameter.shape) → (n, width)."""
        if self.parameter.dim() < 2:
            return self.sketch(gradient.flatten(1))
        matrix = gradient.reshape(len(gradient), self.parameter.shape[0], -1)  # (n, n_rows, n_cols)
        if self.cols is not None:
            matrix = matrix @ self.cols.T
        if self.rows is not None:
            matrix = self.rows @ matrix
        return matrix.flatten(1)

    def sketch(self, gradient: torch.Tensor) -> torch.Tensor:
        """Reduce per-example gradients of a vector, (n, numel) → (n, width)."""
        return gradient if self.rows is None else gradient @ self.rows.T


@dataclass(frozen=True)
class Layout:
    """All slots of a feature vector, by parameter identity."""

    slots: dict[int, Slot]

    @property
    def width(self) -> int:
        return sum(slot.width for slot in self.slots.values())

    def of(self, parameter: nn.Parameter | None) -> Slot | None:
        """Slot of a parameter; None if it has none, because it is frozen or left out."""
        return None if parameter is None else self.slots.get(id(parameter))

    def without(self, names: set[str]) -> Layout:
        """The same layout less some parameters; the others keep their projections."""
        return packed(slot for slot in self.slots.values() if slot.name not in names)


def packed(slots: Iterable[Slot]) -> Layout:
    """Give slots their columns, one after the other."""
    start, found = 0, {}
    for slot in slots:
        slot.start = start
        start += slot.width
        found[id(slot.parameter)] = slot
    return Layout(found)


def random_layout(
    parameters: list[tuple[str, nn.Parameter]], *, k_cols: int, k_rows: int, seed: int, device: torch.device
) -> Layout:
    """Draw projections for parameters, in their order, from one generator on the CPU: the same on every device.

    Args:
        k_cols, k_rows: length of each side of a weight's reduced gradient (`projection_in`, `projection_out`).
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(k: int, n: int) -> torch.Tensor | None:
        return None if n <= k else (torch.randn(k, n, generator=generator) / k**0.5).to(device)

    vectors = sum(p.numel() for _, p in parameters if p.dim() < 2)
    k_vector = k_cols + k_rows if vectors > _VECTOR_BUDGET else vectors
    slots = []
    for name, parameter in parameters:
        if parameter.dim() < 2:
            rows = draw(k_vector, parameter.numel())
            slots.append(Slot(name, parameter, rows, None, min(parameter.numel(), k_vector)))
            continue
        n_rows = parameter.shape[0]
        n_cols = parameter.numel() // n_rows
        width = min(n_rows, k_rows) * min(n_cols, k_cols)
        slots.append(Slot(name, parameter, draw(k_rows, n_rows), draw(k_cols, n_cols), width))
    return packed(slots)


def identity_layout(parameters: list[tuple[str, nn.Parameter]]) -> Layout:
    """No projection: features are the whole gradients, parameter after parameter."""
    return packed(Slot(name, p, None, None, p.numel()) for name, p in parameters)
