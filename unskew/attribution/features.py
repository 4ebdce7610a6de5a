"""Factored gradient features: one ordinary backward pass of the summed margins per batch, on any device.

Hooks on the layers keep the projected input of each, and meet the gradient at its output on the way back; see
`layers` for the mathematics and `projections` for the sizes. In evaluation mode examples do not see each other, so the
gradient of the sum of margins at row i of a layer's output is that of example i's own margin. Weights are frozen
during the pass: their gradients are never computed, which pays for the projections.

That every layer was understood is not assumed but checked: on three rows, weighed 1, 1/2 and 1/3, ordinary automatic
differentiation gives every parameter's gradient, and a parameter whose features' sum differs (used outside its layer,
batch not first, examples mixed) is left out and named in an `UncoveredParametersWarning`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.attention import projections_of
from unskew.attribution.aware import BASIS_ROWS, Moments
from unskew.attribution.layers import direct_parameters, tap_for
from unskew.attribution.passes import (
    Batch,
    Collector,
    NameOf,
    OnStep,
    Pixels,
    Preprocess,
    ShouldStop,
    Split,
    automatic_batch_size,
    checked_margin,
    evaluation_mode,
    logits_of,
    saved_bytes,
    trainable,
)
from unskew.attribution.projections import Layout, identity_layout, random_layout, side_for
from unskew.attribution.recorder import Recorder, halving
from unskew.attribution.records import Features, UncoveredParametersWarning
from unskew.errors import ModelError
from unskew.schemas.params import AttributeParams

__all__ = ["Features", "UncoveredParametersWarning", "featurize"]

_CHECK_ROWS = 3
_BASIS_BATCH = 32
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
    basis: tuple[Pixels, NDArray[np.int64]] | None = None,
    rows: tuple[int, int] | None = None,
    name: NameOf | None = None,
    on_step: OnStep | None = None,
    should_stop: ShouldStop | None = None,
) -> Features:
    """Gradient features φ of the margin for every example of a split, or for some consecutive rows of it.

    Parameters with requires_grad count, others learn from no example. The model's modes, flags and device are restored.

    Args:
        model: loaded with one checkpoint.
        pixels: uint8 (n, 3, size, size), possibly memory-mapped; or a tensor that `preprocess` understands.
        label: int64 (n,).
        params: projection sizes, parameters to differentiate by, storage, precision, batch size.
        seed: of the projections; train and targets of one checkpoint need the same, two checkpoints different ones.
        projections: "identity" keeps whole gradients, in the order of `model.named_parameters()`: for small models.
        preprocess: batch as stored → the model's input; None: `unskew.models.preprocess` for uint8, else nothing.
        basis: the training split, whose first rows `projection = pca` is fitted to; None: this split is it.
        rows: (first, last + 1). Chunks that are multiples of the batch size have the bits of one call over all rows.
        name: position → what messages call that example; None: "row 7".
        on_step: called with (rows done, rows).
    Returns:
        phi (n, p). Linear, Conv1d/2d/3d, Embedding, MultiheadAttention, Batch-, Instance-, Group-, Layer- and RMSNorm
            are covered.
    Raises:
        ModelError: margins not finite (the example is named), logits of a wrong shape, no trainable parameter, or none
            that is covered; a model that stays in training mode, is random, or mixes the examples of a batch.
        DataError: lengths differ, a label missing or out of range, an empty split.
        SettingsError: `grad_wrt` matches nothing.
        Stopped: should_stop() said so.
    Source: Choe et al. 2024 (LoGra) for Linear; convolutions, groups, shared parameters and norm layers are ours and
        tested against `torch.func`.
    """
    params = params or AttributeParams()
    place = torch.device(device)
    split = Split(pixels, label, preprocess, place, name)
    wanted = trainable(model, params.grad_wrt)
    first, last = rows or (0, len(split))
    with evaluation_mode(model, place):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        split.use_fastest_layout(model)
        layout = _layout(model, wanted, params, projections, seed, place)
        if params.projection == "pca" and projections == "random":
            fitted = split if basis is None else Split(*basis, preprocess, place, name)
            layout = _adapted(model, layout, fitted)
        layout, covered, bytes_per_example = _checked_layout(model, layout, wanted, split)
        size = params.batch_size or automatic_batch_size(bytes_per_example, place)
        collector = Collector(last - first, layout.width, params.storage)
        with Recorder(model, layout, mixed=params.mixed_precision) as recorder:
            for batch in split.batches(size, rows, on_step, should_stop):
                for part, found in halving(recorder, batch):
                    collector.put(part, *found)
    return collector.features(covered)


def _layout(
    model: nn.Module,
    wanted: list[tuple[str, nn.Parameter]],
    params: AttributeParams,
    projections: Literal["random", "identity"],
    seed: int,
    place: torch.device,
) -> Layout:
    """Slots for those of the wanted parameters that belong to a layer of a known kind, in the same order."""
    known = {id(p) for module in model.modules() if tap_for(module) for p in direct_parameters(module)}
    known |= {id(p) for module in model.modules() for p in projections_of(module)}
    reachable = [(name, p) for name, p in wanted if id(p) in known]
    if projections == "identity":
        return identity_layout(reachable)
    k_cols, k_rows = params.projection_in, params.projection_out
    if params.projection_dim is not None:
        k_cols = k_rows = side_for(reachable, params.projection_dim)
    return random_layout(reachable, k_cols=k_cols, k_rows=k_rows, seed=seed, device=place)


def _adapted(model: nn.Module, layout: Layout, split: Split) -> Layout:
    """Directions fitted to what the layers see on the first rows of the training split."""
    moments = Moments()
    with Recorder(model, layout, moments=moments) as recorder:
        for batch in split.batches(_BASIS_BATCH, (0, min(BASIS_ROWS, len(split))), None, None):
            recorder.run(batch)
    return moments.adapted(layout)


def _checked_layout(
    model: nn.Module, layout: Layout, wanted: list[tuple[str, nn.Parameter]], split: Split
) -> tuple[Layout, float, float]:
    """Leave out parameters whose features are not their gradients.

    Returns:
        the layout, the share of parameters covered, and the bytes that a forward pass keeps for one example.
    Raises:
        ModelError: nothing is left; or the margins of the examples depend on chance or on each other.
    """
    n = min(_CHECK_ROWS, len(split))
    batch = split.rows(0, n)
    with Recorder(model, layout) as recorder, saved_bytes() as kept:
        phi, _, together = recorder.run(batch)
    _check_independent(model, together.detach(), batch)
    # One gradient of a weighted sum instead of one an example: weights differ, so that a row's share in another's place
    # shows as well.
    weights = 1 / torch.arange(1, n + 1, device=phi.device)
    exact = _gradients(model, [p for _, p in wanted], batch, weights)
    used = {name for (name, _), gradient in zip(wanted, exact, strict=True) if gradient is not None}
    left_out = {name for name in used if name not in {slot.name for slot in layout.slots.values()}}
    for (name, parameter), gradient in zip(wanted, exact, strict=True):
        slot = layout.of(parameter)
        if slot is None:
            continue
        truth = slot.project((torch.zeros_like(parameter) if gradient is None else gradient)[None].float())[0]
        error = (weights @ phi[:, slot.columns] - truth).norm()
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
    return layout, 1 - missing / total, kept[0] / n


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
    model: nn.Module, parameters: list[nn.Parameter], batch: Batch, weights: torch.Tensor
) -> tuple[torch.Tensor | None, ...]:
    """Gradient of Σ weights · margins by every parameter, None where no margin depends on it."""
    with _differentiable(parameters):
        f = checked_margin(logits_of(model, batch), batch)
        if not f.requires_grad:
            return (None,) * len(parameters)
        return torch.autograd.grad(weights @ f, parameters, allow_unused=True)


def _check_independent(model: nn.Module, together: torch.Tensor, batch: Batch) -> None:
    """Margins of the same examples in one batch and one by one must agree."""
    with torch.no_grad():
        singles = [batch.part(i, i + 1) for i in range(len(batch))]
        alone = torch.cat([checked_margin(logits_of(model, one), one) for one in singles])
    wrong = (together - alone).abs() > _CHECK_TOLERANCE * (1 + alone.abs())
    if wrong.any():
        index, name = batch.first(wrong)
        raise ModelError(
            f"The margin of {name} is {float(together[index]):.4g} in a batch and {float(alone[index]):.4g} alone: "
            f"{type(model).__name__} is random in evaluation mode, or mixes the examples of a batch.",
            fix="Let dropout follow the module's training flag, and give batch norms running statistics.",
        )
