"""Where each parameter's gradient goes in a feature vector, and the random projections on the way.

A weight is read as a matrix (rows = first dimension, columns = all others) and its gradient G is reduced to
P_rows G P_colsᵀ, with normal entries of variance 1 / k, so that inner products are kept in expectation. A side that is
no longer than its k is not projected. Columns of a wide convolution are projected in two stages, P_cols = B (A ⊗ I):
first the channels, then channels and kernel together; E[P_colsᵀ P_cols] = I still holds. Biases and norm layers'
parameters are vectors: kept whole while all of them together are few, else the long ones are sketched. Projections
belong to parameters, not modules, so that a parameter that several modules share gets the sum of its gradients.
"""

from __future__ import annotations

import math
from bisect import bisect_right
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
        pointwise, filters: for a convolution, cols in two stages: (m, channels) without a kernel, then (k_cols, m,
            *kernel). Their product is cols; applying them in turn is three to seven times less work.
        start, width: columns of the feature vector.
    """

    name: str
    parameter: nn.Parameter
    rows: torch.Tensor | None
    cols: torch.Tensor | None
    width: int
    start: int = 0
    pointwise: torch.Tensor | None = None
    filters: torch.Tensor | None = None

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

    def normal(*shape: int) -> torch.Tensor:  # variance 1 / first dimension
        drawn = torch.randn(*shape, generator=generator) / math.sqrt(shape[0])
        return drawn.to(device)

    def draw(k: int, n: int) -> torch.Tensor | None:
        return None if n <= k else normal(k, n)

    k_vector = _vector_length(parameters, k_cols, k_rows)
    slots = []
    for name, parameter in parameters:
        width = _width(parameter, k_cols, k_rows, k_vector)
        if parameter.dim() < 2:
            slots.append(Slot(name, parameter, draw(k_vector, parameter.numel()), None, width))
            continue
        n_rows, channels, *kernel = parameter.shape[0], *parameter.shape[1:]
        rows = draw(k_rows, n_rows)
        if math.prod(kernel) > 1 and channels >= 2 * k_cols:
            pointwise, filters = normal(k_cols, channels), normal(k_cols, k_cols, *kernel)
            cols = torch.einsum("km...,mc->kc...", filters, pointwise).flatten(1)
            slots.append(Slot(name, parameter, rows, cols, width, pointwise=pointwise, filters=filters))
        else:
            slots.append(Slot(name, parameter, rows, draw(k_cols, channels * math.prod(kernel)), width))
    return packed(slots)


def side_for(parameters: list[tuple[str, nn.Parameter]], total: int) -> int:
    """The largest k for which k × k numbers a weight keep the whole feature vector within `total`; at least 1."""

    def length(k: int) -> int:
        k_vector = _vector_length(parameters, k, k)
        return sum(_width(p, k, k, k_vector) for _, p in parameters)

    longest = max((max(p.shape[0], p.numel() // p.shape[0]) for _, p in parameters if p.dim() > 1), default=1)
    return max(1, bisect_right(range(1, longest + 1), total, key=length))


def _vector_length(parameters: list[tuple[str, nn.Parameter]], k_cols: int, k_rows: int) -> int:
    """What a bias or norm parameter is sketched to; all of them are kept whole while they are few."""
    vectors = sum(p.numel() for _, p in parameters if p.dim() < 2)
    return k_cols + k_rows if vectors > _VECTOR_BUDGET else vectors


def _width(parameter: nn.Parameter, k_cols: int, k_rows: int, k_vector: int) -> int:
    if parameter.dim() < 2:
        return min(parameter.numel(), k_vector)
    n_rows = parameter.shape[0]
    return min(n_rows, k_rows) * min(parameter.numel() // n_rows, k_cols)


def identity_layout(parameters: list[tuple[str, nn.Parameter]]) -> Layout:
    """No projection: features are the whole gradients, parameter after parameter."""
    return packed(Slot(name, p, None, None, p.numel()) for name, p in parameters)
