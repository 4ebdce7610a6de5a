"""Hooks that make one backward pass yield features: what a layer keeps of its input meets its output gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from unskew.attribution.attention import spelled_out
from unskew.attribution.aware import Moments
from unskew.attribution.layers import Backward, Contributions, Tap, direct_parameters, linear_tap, tap_for
from unskew.attribution.passes import Batch, checked_margin, logits_of
from unskew.attribution.projections import Layout
from unskew.errors import ModelError
from unskew.memory import ERRORS, ran_out

Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Recorder:
    """Hooks on every known layer while it is open; `run` gives a batch's features."""

    def __init__(
        self, model: nn.Module, layout: Layout, *, mixed: bool = False, moments: Moments | None = None
    ) -> None:
        self._layout = layout
        self._tap_for = tap_for if moments is None else moments.tap_for
        self._linear_tap = linear_tap if moments is None else moments.linear_tap
        self._phi = torch.empty(0)
        self._open = ExitStack()
        self._model = model
        self._mixed = mixed

    def __enter__(self) -> Recorder:
        self._open.enter_context(spelled_out(self._model, self._project))
        for module in self._model.modules():
            tap = self._tap_for(module)
            if tap is not None and any(self._layout.of(p) for p in direct_parameters(module)):
                handle = module.register_forward_hook(self._hook(tap), with_kwargs=True)
                self._open.callback(handle.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, batch: Batch) -> Found:
        """Features (n, p), logits (n, n_classes) and margins (n,) of one batch."""
        self._phi = torch.zeros(len(batch), self._layout.width, device=batch.x.device)
        with torch.autocast(batch.x.device.type, dtype=torch.bfloat16, enabled=self._mixed):
            logits = logits_of(self._model, batch)
        f = checked_margin(logits.float(), batch)
        if f.requires_grad:
            torch.autograd.backward(f.sum())
        return self._phi, logits, f

    def _hook(self, tap: Tap) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor) -> Any:
            n = len(self._phi)
            x = args[0] if args else kwargs.get("input")
            if not torch.is_grad_enabled() or not isinstance(x, torch.Tensor) or len(x) % n:
                return None  # no gradient comes back, or not one row (or m rows) an example: the check notices
            with torch.no_grad():
                backward = tap(module, x, n, self._layout)
            return self._meet(output, backward)

        return hook

    def _project(
        self, x: torch.Tensor, weight: torch.Tensor, rows: slice, bias: torch.Tensor | None, bias_rows: slice
    ) -> torch.Tensor:
        """x Wᵀ + b for some rows of an attention layer's packed W and b, watched as a Linear layer is."""
        y, n = F.linear(x, weight[rows], None if bias is None else bias[bias_rows]), len(self._phi)
        slots = self._layout.slots
        of_weight, of_bias = slots.get(id(weight)), slots.get(id(bias))
        if not torch.is_grad_enabled() or len(x) % n or (of_weight is None and of_bias is None):
            return y
        with torch.no_grad():
            by_weight, by_bias = self._linear_tap(of_weight, None, x, n), self._linear_tap(None, of_bias, x, n)

        def backward(g: torch.Tensor) -> Contributions:
            yield from by_weight(_placed(g, rows, len(weight)))
            if bias is not None:
                yield from by_bias(_placed(g, bias_rows, len(bias)))

        return self._meet(y, backward)

    def _meet(self, output: torch.Tensor, backward: Backward) -> torch.Tensor:
        """Add the layer's share when the gradient at its output is known; returns the output to go on with.

        A tensor hook, because it is about the output as it is now: an in-place ReLU after it does not matter.
        """

        if not output.requires_grad:
            # The first layer that a gradient must reach. The copy may be changed in place, which a leaf may not.
            output = output.detach().requires_grad_().clone()

        def on_gradient(g: torch.Tensor) -> None:
            with torch.no_grad():
                for slot, part in backward(g):
                    self._phi[:, slot.columns] += part

        output.register_hook(on_gradient)  # type: ignore[no-untyped-call]
        return output


def _placed(g: torch.Tensor, rows: slice, n_rows: int) -> torch.Tensor:
    """Some rows' gradient, zeros for the others; no copy where they are all."""
    return g if g.shape[-1] == n_rows else F.pad(g, (rows.start, n_rows - rows.stop))


def halving(recorder: Recorder, batch: Batch) -> Iterator[tuple[Batch, Found]]:
    """A batch's features; where memory runs out, those of its halves.

    Raises:
        ModelError: not even one example fits.
    """
    try:
        found = recorder.run(batch)
    except ERRORS as error:
        if not ran_out(error):
            raise
        if len(batch) == 1:
            raise ModelError(
                "One example does not fit into the device's memory.", fix="Use another device, or a smaller model."
            ) from error
        found = None
    if found is not None:
        yield batch, found
        return
    middle = len(batch) // 2
    for part in (batch.part(0, middle), batch.part(middle, len(batch))):
        yield from halving(recorder, part)
