"""Factored gradient features: one ordinary backward pass of the summed margins per batch, on any device.

Hooks on the layers keep the projected input of each, and meet the gradient at its output on the way back; see
`layers` for the mathematics and `projections` for the sizes. In evaluation mode examples do not see each other, so the
gradient of the sum of margins at row i of a layer's output is that of example i's own margin. Weights are frozen
during the pass: their gradients are never computed, which pays for the projections.

That every layer was understood is not assumed but checked: on three rows, one at a time, ordinary automatic
differentiation gives every parameter's gradient, and a parameter whose feature differs (used outside its layer,
batch not first, examples mixed) is left out and named in an `UncoveredParametersWarning`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.layers import Backward, Tap, direct_parameters, tap_for
from unskew.attribution.passes import (
    Collector,
    OnStep,
    Pixels,
    Preprocess,
    ShouldStop,
    Split,
    checked_margin,
    evaluation_mode,
    logits_of,
    starts,
    trainable,
)
from unskew.attribution.projections import Layout, identity_layout, random_layout
from unskew.attribution.records import Features, UncoveredParametersWarning
from unskew.errors import ModelError
from unskew.schemas.params import AttributeParams

__all__ = ["Features", "UncoveredParametersWarning", "featurize"]

_CHECK_ROWS = 3
_CHECK_TOLERANCE = 0.02  # relative; a layer misread is off by about 1, TF32 and half precision by about 0.001
_NAMES_SHOWN = 5


def featurize(
    model: nn.Module,
    pixels: Pixels,
    label: NDArray[np.int64],
    *,
    params: AttributeParams | None = None,
    seed: int,
    projections: Literal["random", "identity"] = "random",
    device: str | torch.device = "cpu",
    preprocess: Preprocess | None = None,
    on_step: OnStep | None = None,
    should_stop: ShouldStop | None = None,
) -> Features:
    """Gradient features φ of the margin for every example of a split.

    Parameters with requires_grad count, others learn from no example. The model's modes, flags and device are restored.

    Args:
        model: loaded with one checkpoint.
        pixels: uint8 (n, 3, size, size), possibly memory-mapped; or a tensor that `preprocess` understands.
        label: int64 (n,).
        params: projection sizes and batch size.
        seed: of the projections; train and targets of one checkpoint need the same, two checkpoints different ones.
        projections: "identity" keeps whole gradients, in the order of `model.named_parameters()`: for small models.
        preprocess: batch as stored → the model's input; None: `unskew.models.preprocess` for uint8, else nothing.
        on_step: called with (rows done, n).
    Returns:
        phi float32 (n, p). Linear, Conv1d/2d/3d, Embedding, Batch-, Instance-, Group-, Layer- and RMSNorm are covered.
    Raises:
        ModelError: margins not finite (the row is named), logits of a wrong shape, no trainable parameter,
            or none that is covered.
        DataError: lengths differ, a label out of range, an empty split.
        Stopped: should_stop() said so.
    Source: Choe et al. 2024 (LoGra) for Linear; convolutions, groups, shared parameters and norm layers are ours and
        tested against `torch.func`.
    """
    params = params or AttributeParams()
    place = torch.device(device)
    split = Split(pixels, label, preprocess, place)
    wanted = trainable(model)
    with evaluation_mode(model, place):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        split.use_fastest_layout(model)
        within_reach = _reachable(model, wanted)
        if projections == "identity":
            layout = identity_layout(within_reach)
        else:
            layout = random_layout(
                within_reach, k_cols=params.projection_in, k_rows=params.projection_out, seed=seed, device=place
            )
        layout, covered = _checked_layout(model, layout, wanted, split)
        collector = Collector(len(split), layout.width)
        with _Recorder(model, layout) as recorder:
            for start in starts(len(split), params.batch_size, on_step, should_stop):
                x, y = split.rows(start, start + params.batch_size)
                collector.put(start, *recorder.run(model, x, y, start))
    return collector.features(covered)


def _reachable(model: nn.Module, wanted: list[tuple[str, nn.Parameter]]) -> list[tuple[str, nn.Parameter]]:
    """Of the wanted parameters those that belong to a layer of a known kind, in the same order."""
    known = {id(p) for module in model.modules() if tap_for(module) for p in direct_parameters(module)}
    return [(name, p) for name, p in wanted if id(p) in known]


class _Recorder:
    """Hooks on every known layer while it is open; `run` gives a batch's features."""

    def __init__(self, model: nn.Module, layout: Layout) -> None:
        self._layout = layout
        self._phi = torch.empty(0)
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._model = model

    def __enter__(self) -> _Recorder:
        for module in self._model.modules():
            tap = tap_for(module)
            if tap is not None and any(self._layout.of(p) for p in direct_parameters(module)):
                self._handles.append(module.register_forward_hook(self._hook(tap), with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def run(
        self, model: nn.Module, x: torch.Tensor, label: torch.Tensor, start: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features (n, p), logits (n, n_classes) and margins (n,) of one batch; `start` is its first row."""
        self._phi = torch.zeros(len(x), self._layout.width, device=x.device)
        logits = logits_of(model, x, label, start)
        f = checked_margin(logits, label, start)
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
            if output.requires_grad:
                self._meet(output, backward)
                return None
            # The first layer that a gradient must reach. The copy may be changed in place, which a leaf may not.
            output = output.detach().requires_grad_().clone()
            self._meet(output, backward)
            return output

        return hook

    def _meet(self, output: torch.Tensor, backward: Backward) -> None:
        """Add the layer's share when the gradient at its output is known.

        A tensor hook, because it is about the output as it is now: an in-place ReLU after it does not matter.
        """

        def on_gradient(g: torch.Tensor) -> None:
            with torch.no_grad():
                for slot, part in backward(g):
                    self._phi[:, slot.columns] += part

        output.register_hook(on_gradient)  # type: ignore[no-untyped-call]


def _checked_layout(
    model: nn.Module, layout: Layout, wanted: list[tuple[str, nn.Parameter]], split: Split
) -> tuple[Layout, float]:
    """Leave out parameters whose features are not their gradients; also the share of parameters covered.

    Raises:
        ModelError: nothing is left.
    """
    n = min(_CHECK_ROWS, len(split))
    x, label = split.rows(0, n)
    with _Recorder(model, layout) as recorder:
        phi, _, _ = recorder.run(model, x, label, 0)
    exact = [_gradients(model, [p for _, p in wanted], x[i : i + 1], label[i : i + 1], i) for i in range(n)]
    used = {name for j, (name, _) in enumerate(wanted) if any(row[j] is not None for row in exact)}
    left_out = {name for name in used if name not in {slot.name for slot in layout.slots.values()}}
    for j, (name, parameter) in enumerate(wanted):
        slot = layout.of(parameter)
        if slot is None:
            continue
        rows = [torch.zeros_like(parameter) if row[j] is None else row[j] for row in exact]
        truth = slot.project(torch.stack([r for r in rows if r is not None]).float())
        error = (phi[:, slot.columns] - truth).norm()
        if not error <= _CHECK_TOLERANCE * truth.norm() + 1e-6 * (1 + phi.norm()):
            left_out.add(name)
    total = sum(p.numel() for name, p in wanted if name in used)
    missing = sum(p.numel() for name, p in wanted if name in left_out)
    layout = layout.without(left_out)
    if not layout.width or not total:
        raise ModelError(
            f"No parameter of {type(model).__name__} is in a layer that features can be taken from.",
            fix="Use engine 'exact', or a model built from Linear, Conv, Embedding and norm layers.",
        )
    if left_out:
        _warn(left_out, missing / total)
    return layout, 1 - missing / total


def _warn(names: set[str], share: float) -> None:
    shown = sorted(names)
    more = f" and {len(shown) - _NAMES_SHOWN} more" if len(shown) > _NAMES_SHOWN else ""
    warnings.warn(
        f"The features leave out {share:.1%} of the parameters: {', '.join(shown[:_NAMES_SHOWN])}{more}. "
        "They are used outside a Linear, Conv, Embedding or norm layer, or not example by example.",
        UncoveredParametersWarning,
        stacklevel=4,
    )


@contextmanager
def _differentiable(parameters: list[nn.Parameter]) -> Iterator[None]:
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


def _gradients(
    model: nn.Module, parameters: list[nn.Parameter], x: torch.Tensor, label: torch.Tensor, row: int
) -> tuple[torch.Tensor | None, ...]:
    """One example's gradient by every parameter; None where the margin does not depend on it."""
    with _differentiable(parameters):
        f = checked_margin(logits_of(model, x, label, row), label, row)
        if not f.requires_grad:
            return (None,) * len(parameters)
        return torch.autograd.grad(f.sum(), parameters, allow_unused=True)
