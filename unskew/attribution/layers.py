"""Per-example gradients of a layer's parameters, already projected, from its input and the gradient at its output.

Each function below is called in a layer's forward pass with its input x and returns a `Backward`: a function of the
output gradient g that yields (slot, contribution (n, slot.width)). No per-example weight gradient is formed: for a
weight W, P_rows (Σ_t g_t a_tᵀ) P_colsᵀ = Σ_t (P_rows g_t)(P_cols a_t)ᵀ, and for a convolution P_cols a_t is itself a
convolution, with P_cols as its filters. What is kept of the input is k_cols numbers a position instead of all.

n is the number of examples; a layer may see n·m rows, example-major (patches, tokens): they are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from unskew.attribution.projections import Layout, Slot
from unskew.errors import ModelError

Contributions = Iterator[tuple[Slot, torch.Tensor]]
Backward = Callable[[torch.Tensor], Contributions]
Tap = Callable[[nn.Module, torch.Tensor, int, Layout], Backward]


def tap_for(module: nn.Module) -> Tap | None:
    """The function for a module, None where there is none: an unknown kind, or a subclass with a forward of its own."""
    for kinds, tap in _TAPS:
        for kind in kinds:
            if isinstance(module, kind) and type(module).forward is kind.forward:
                return tap
    return None


def direct_parameters(module: nn.Module) -> list[nn.Parameter]:
    """A layer's own weight and bias, as far as they are plain parameters (a parametrised weight is not)."""
    found = (module._parameters.get(name) for name in ("weight", "bias"))
    return [p for p in found if p is not None]


def _slots(module: nn.Module, layout: Layout) -> tuple[Slot | None, Slot | None]:
    return layout.of(module._parameters.get("weight")), layout.of(module._parameters.get("bias"))


def linear_tap(weight: Slot | None, bias: Slot | None, x: torch.Tensor, n: int) -> Backward:
    """For y = x Wᵀ + b with features last: also what attention layers do with their packed projections."""
    a = None
    if weight is not None:
        a = x.detach().reshape(n, -1, x.shape[-1])  # (n, T, in)
        a = a.clone() if weight.cols is None else a @ weight.cols.to(a.dtype).T  # (n, T, k_cols)

    def backward(g: torch.Tensor) -> Contributions:
        g = g.reshape(n, -1, g.shape[-1])  # (n, T, out)
        if weight is not None and a is not None:
            yield weight, _contract(weight, g.transpose(1, 2)[:, None], a.transpose(1, 2)[:, None])
        if bias is not None:
            yield bias, bias.sketch(g.sum(1))

    return backward


def _linear(module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
    return linear_tap(*_slots(module, layout), x, n)


def _conv(module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
    assert isinstance(module, _ConvNd)
    weight, bias = _slots(module, layout)
    groups = module.groups
    a = None
    if weight is not None:
        a = _positions(filtered(module, x.detach(), weight), n, groups)  # (n, groups, k_cols, T)

    def backward(g: torch.Tensor) -> Contributions:
        g = _positions(g, n, groups)  # (n, groups, out / groups, T)
        if weight is not None and a is not None:
            yield weight, _contract(weight, g, a)
        if bias is not None:
            yield bias, bias.sketch(g.sum(3).flatten(1))

    return backward


def filtered(module: _ConvNd, x: torch.Tensor, weight: Slot) -> torch.Tensor:
    """P_cols applied to every patch of x: the layer's own convolution with P_cols as filters, in every group."""
    cols, groups = weight.cols, module.groups
    if weight.pointwise is not None and weight.filters is not None:  # P_cols in two stages, the first without a kernel
        x = _pointwise(x, weight.pointwise.to(x.dtype), groups)
        filters = weight.filters.to(x.dtype)
    else:
        if cols is None:
            cols = torch.eye(weight.parameter[0].numel(), device=x.device)
        filters = cols.to(x.dtype).reshape(len(cols), *weight.parameter.shape[1:])
    filters = filters.repeat(groups, *[1] * (filters.dim() - 1))
    # The layer's own method, because it alone knows how stride, padding mode, dilation and groups go together.
    result: torch.Tensor = module._conv_forward(x, filters, None)
    return result


def _pointwise(x: torch.Tensor, p: torch.Tensor, groups: int) -> torch.Tensor:
    """p (m, channels / groups) applied to the channels of x (rows, channels, *space), group by group."""
    m, space = len(p), x.shape[2:]
    by_position = x.movedim(1, -1)
    if groups == 1 and by_position.is_contiguous():  # channels last: one large product
        return (by_position.reshape(-1, x.shape[1]) @ p.T).reshape(len(x), *space, m).movedim(-1, 1)
    return (p @ x.reshape(len(x), groups, -1, space.numel())).reshape(len(x), groups * m, *space)


def _positions(t: torch.Tensor, n: int, groups: int) -> torch.Tensor:
    """(n·m, groups·c, *space) → (n, groups, c, m·T): channels by group, positions last."""
    if len(t) == n:
        return t.reshape(n, groups, t.shape[1] // groups, -1)
    m = len(t) // n
    return t.reshape(n, m, groups, t.shape[1] // groups, -1).permute(0, 2, 3, 1, 4).flatten(3)


def _contract(slot: Slot, g: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Σ over positions of (P_rows g) aᵀ.

    Args:
        g: (n, groups, rows / groups, T), gradient at the output.
        a: (n, groups, k_cols, T), input after P_cols.
    Returns:
        (n, slot.width).
    """
    n, groups, rows, positions = g.shape
    if slot.rows is None:  # rows are in group order, as in the weight
        product = torch.bmm(g.flatten(0, 1), a.flatten(0, 1).transpose(1, 2))
        return product.reshape(n, -1)
    k_rows, k_cols = len(slot.rows), a.shape[2]
    p = slot.rows.to(g.dtype)
    if groups > 1:
        p = p.reshape(k_rows, groups, rows).transpose(0, 1)  # (groups, k_rows, rows / groups)
        return ((p @ g) @ a.transpose(2, 3)).sum(1).flatten(1)
    g, a = g[:, 0], a[:, 0]
    if positions == 1:
        return ((g[:, :, 0] @ p.T)[:, :, None] * a.reshape(n, 1, k_cols)).flatten(1)
    return torch.bmm(_pointwise(g, p, 1), a.transpose(1, 2)).flatten(1)


def _embedding(module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
    assert isinstance(module, nn.Embedding)
    weight, _ = _slots(module, layout)
    index = x.detach().reshape(n, -1).clone()  # (n, T)
    padding = module.padding_idx

    def backward(g: torch.Tensor) -> Contributions:
        if weight is None:
            return
        g = g.reshape(n, -1, g.shape[-1])  # (n, T, dim)
        if padding is not None:
            g = g.masked_fill((index == padding)[:, :, None], 0.0)
        a = g if weight.cols is None else g @ weight.cols.to(g.dtype).T  # (n, T, k_cols)
        if weight.rows is None:
            row = F.one_hot(index, module.num_embeddings).to(a.dtype)  # (n, T, vocabulary)
        else:
            row = weight.rows.T[index].to(a.dtype)  # (n, T, k_rows)
        yield weight, torch.bmm(row.transpose(1, 2), a).flatten(1)

    return backward


def _norm(normalise: Callable[[nn.Module, torch.Tensor], torch.Tensor], channels_last: bool) -> Tap:
    """A tap for a layer y = x̂ γ + β, given how x̂ follows from x."""

    def tap(module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
        weight, bias = _slots(module, layout)
        x, unchanged = _kept(module, x)

        def summed(t: torch.Tensor) -> torch.Tensor:  # over positions: (n, *weight's shape)
            if channels_last:
                return t.reshape(n, -1, *module.normalized_shape).sum(1)  # type: ignore[misc]
            return _by_channel(t, n)

        def backward(g: torch.Tensor) -> Contributions:
            if weight is not None:
                unchanged()
                yield weight, weight.project(summed(g * normalise(module, x)))
            if bias is not None:
                yield bias, bias.project(summed(g))

        return backward

    return tap


def _batch_norm(module: nn.Module, x: torch.Tensor, n: int, layout: Layout) -> Backward:
    """With running statistics x̂ = (x - μ) / σ by channel, so Σ g x̂ = (Σ g x - μ Σ g) / σ, and x̂ is never formed."""
    assert isinstance(module, _BatchNorm)
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None:  # then examples are not independent; the check of the first rows will say so
        return _batch_norm_of_batch(module, x, n, layout)
    weight, bias = _slots(module, layout)
    x, unchanged = _kept(module, x)

    def backward(g: torch.Tensor) -> Contributions:
        total = _by_channel(g, n)
        if weight is not None:
            unchanged()
            found = (_by_channel(g * x, n) - mean * total) * (variance + module.eps).rsqrt()
            yield weight, weight.sketch(found)
        if bias is not None:
            yield bias, bias.sketch(total)

    return backward


def _by_channel(t: torch.Tensor, n: int) -> torch.Tensor:
    """(n·m, channels, *space) → (n, channels), summed over positions."""
    t = t.flatten(2).sum(2) if t.dim() > 2 else t
    return t.reshape(n, -1, t.shape[1]).sum(1)


def _kept(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, Callable[[], None]]:
    """An input kept for the way back without a copy, and the check that nobody changed it meanwhile."""
    x = x.detach()
    version = x._version

    def unchanged() -> None:
        if x._version != version:
            raise ModelError(
                f"The input of a {type(module).__name__} is changed in place after it was used.",
                fix="Make that operation out of place; training with it fails too.",
            )

    return x, unchanged


def _batch_norm_hat(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(module, _BatchNorm)
    return F.batch_norm(x, None, None, training=True, eps=module.eps)


def _instance_norm_hat(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(module, _InstanceNorm)
    mean, var = module.running_mean, module.running_var
    return F.instance_norm(x, mean, var, use_input_stats=mean is None, eps=module.eps)


def _layer_norm_hat(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(module, nn.LayerNorm)
    return F.layer_norm(x, module.normalized_shape, eps=module.eps)


def _rms_norm_hat(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(module, nn.RMSNorm)
    return F.rms_norm(x, list(module.normalized_shape), eps=module.eps)


def _group_norm_hat(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(module, nn.GroupNorm)
    return F.group_norm(x, module.num_groups, eps=module.eps)


_batch_norm_of_batch = _norm(_batch_norm_hat, channels_last=False)

_TAPS: list[tuple[tuple[type[nn.Module], ...], Tap]] = [
    ((nn.Linear,), _linear),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), _conv),
    ((nn.Embedding,), _embedding),
    ((_BatchNorm,), _batch_norm),
    ((_InstanceNorm,), _norm(_instance_norm_hat, channels_last=False)),
    ((nn.GroupNorm,), _norm(_group_norm_hat, channels_last=False)),
    ((nn.LayerNorm,), _norm(_layer_norm_hat, channels_last=True)),
    ((nn.RMSNorm,), _norm(_rms_norm_hat, channels_last=True)),
]
