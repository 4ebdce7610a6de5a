"""Activation-aware projections: instead of random directions, those along which a layer's inputs and gradients vary.

The columns of a layer become an orthonormal basis of where its inputs lie, the rows one of where the gradients at its
output lie, both by one power iteration from the random ones, P ← orth(P Σ a aᵀ), over the first training rows. Inner
products are then no longer kept in expectation; what is left out is what varies least.
Source: Choe et al. 2024 (LoGra) take principal components of Linear layers' activations; convolutions, and the power
    iteration instead of whole covariance matrices, are ours.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from unskew.attribution.layers import Backward, Tap, filtered, tap_for
from unskew.attribution.projections import Layout, Slot, packed

BASIS_ROWS = 256  # examples that the directions are fitted to


class Moments:
    """Sums P Σ a aᵀ and P Σ g gᵀ of every projected weight of Linear and convolution layers, by parameter."""

    def __init__(self) -> None:
        self._cols: dict[int, torch.Tensor] = defaultdict(lambda: torch.zeros(()))
        self._rows: dict[int, torch.Tensor] = defaultdict(lambda: torch.zeros(()))

    def tap_for(self, module: nn.Module) -> Tap | None:
        """As `layers.tap_for`, but the taps add to the sums and contribute no feature."""
        known = isinstance(module, (nn.Linear, _ConvNd)) and tap_for(module) is not None
        return self._module if known else None

    def linear_tap(self, weight: Slot | None, bias: Slot | None, x: torch.Tensor, n: int) -> Backward:
        """As `layers.linear_tap`, likewise."""
        if weight is not None and weight.cols is not None:
            a = x.detach().reshape(-1, x.shape[-1])
            self._add(self._cols, weight, (a @ weight.cols.T).T @ a)
        return self._backward(weight, channel_dim=-1)

    def _module(self, module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
        slot = layout.of(module._parameters.get("weight"))
        if not isinstance(module, _ConvNd):
            return self.linear_tap(slot, None, x, n)
        if slot is not None and slot.cols is not None:
            with torch.enable_grad():  # the derivative of half the squared length of P a by P is P Σ a aᵀ
                p = slot.cols.detach().clone().requires_grad_()
                half = filtered(module, x.detach(), replace(slot, cols=p, pointwise=None)).square().sum() / 2
                self._add(self._cols, slot, torch.autograd.grad(half, p)[0])
        return self._backward(slot, channel_dim=1)

    def _backward(self, slot: Slot | None, channel_dim: int) -> Backward:
        def backward(g: torch.Tensor) -> list[tuple[Slot, torch.Tensor]]:
            if slot is not None and slot.rows is not None:
                flat = g.movedim(channel_dim, -1).reshape(-1, g.shape[channel_dim])
                self._add(self._rows, slot, (flat @ slot.rows.T).T @ flat)
            return []

        return lambda g: iter(backward(g))

    @staticmethod
    def _add(sums: dict[int, torch.Tensor], slot: Slot, part: torch.Tensor) -> None:
        key = id(slot.parameter)
        sums[key] = sums[key].to(part.device) + part

    def adapted(self, layout: Layout) -> Layout:
        """The layout with the random sides of those weights replaced."""
        slots = []
        for key, slot in layout.slots.items():
            if key in self._cols:
                slot = replace(slot, cols=_orthonormal(self._cols[key]), pointwise=None, filters=None)
            if key in self._rows:
                slot = replace(slot, rows=_orthonormal(self._rows[key]))
            slots.append(slot)
        return packed(slots)


def _orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """Orthonormal rows (k, n) that span the given ones; on the CPU in float64, so that every device gets the same."""
    q, _ = torch.linalg.qr(rows.detach().cpu().double().T)
    basis: torch.Tensor = q.T.contiguous().float().to(rows.device)
    return basis
