"""`nn.MultiheadAttention` spelled out, so that its packed input projections can be watched like any Linear layer.

torch hands the weights of the projections to one fused function, past every hook. While `spelled_out` is open, each
attention layer computes the same from its parts; fast paths, which skip the parts as well, are switched off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn


class Project(Protocol):
    """x Wᵀ + b with some rows of W and of b, watched; x (n, L, in) is example-major."""

    def __call__(
        self, x: torch.Tensor, weight: torch.Tensor, rows: slice, bias: torch.Tensor | None, bias_rows: slice
    ) -> torch.Tensor: ...


def projections_of(module: nn.Module) -> list[nn.Parameter]:
    """Parameters of the input projections of an attention layer that can be spelled out; else none."""
    if not isinstance(module, nn.MultiheadAttention) or type(module).forward is not nn.MultiheadAttention.forward:
        return []
    if module.bias_k is not None or module.add_zero_attn:
        return []
    names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias")
    found = (module._parameters.get(name) for name in names)
    return [p for p in found if p is not None]


@contextmanager
def spelled_out(model: nn.Module, project: Project) -> Iterator[None]:
    """Let every attention layer of a model call `project` for its input projections."""
    layers = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention) and projections_of(m)]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    for layer in layers:
        layer.forward = partial(_attention, layer, project)  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for layer in layers:
            del layer.forward


def _attention(
    module: nn.MultiheadAttention,
    project: Project,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What `nn.MultiheadAttention.forward` returns in evaluation mode."""
    if query.dim() != 3 or query.is_nested:  # one example without a batch: left to torch, and out of the features
        return nn.MultiheadAttention.forward(
            module, query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        )
    same = key is query and value is key
    inputs = [query, key, value]
    if not module.batch_first:
        inputs = [query.transpose(0, 1)] * 3 if same else [t.transpose(0, 1) for t in inputs]
    q, k, v = (_heads(t, module.num_heads) for t in _projected(module, project, inputs, same))  # (n, heads, L, d)
    mask = _mask(module, q, key_padding_mask, attn_mask)
    weights = None
    if need_weights:
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)  # (n, heads, L, S)
        mixed = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    result = module.out_proj(mixed.transpose(1, 2).flatten(2))  # (n, L, embed)
    return result if module.batch_first else result.transpose(0, 1), weights


def _projected(
    module: nn.MultiheadAttention, project: Project, inputs: list[torch.Tensor], same: bool
) -> tuple[torch.Tensor, ...]:
    """Query, key and value, (n, L, embed) each."""
    width, packed, bias = module.embed_dim, module.in_proj_weight, module.in_proj_bias
    parts, whole = [slice(i * width, (i + 1) * width) for i in range(3)], slice(0, 3 * width)
    if packed is None:
        weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        each = zip(inputs, weights, parts, strict=True)
        return tuple(project(x, w, slice(0, width), bias, part) for x, w, part in each)
    if same:
        return project(inputs[0], packed, whole, bias, whole).chunk(3, dim=-1)
    return tuple(project(x, packed, part, bias, part) for x, part in zip(inputs, parts, strict=True))


def _heads(t: torch.Tensor, n_heads: int) -> torch.Tensor:
    """(n, L, heads · d) → (n, heads, L, d)."""
    return t.reshape(*t.shape[:2], n_heads, -1).transpose(1, 2)


def _mask(
    module: nn.MultiheadAttention,
    q: torch.Tensor,
    padding: torch.Tensor | None,
    attention: torch.Tensor | None,
) -> torch.Tensor | None:
    """Both masks as one to be added to the scores, (n or 1, heads or 1, L or 1, S)."""
    total = None
    if padding is not None:
        total = _added(padding, q.dtype)[:, None, None, :]
    if attention is not None:
        added = _added(attention, q.dtype)
        added = added.reshape(len(q), module.num_heads, *added.shape[1:]) if added.dim() == 3 else added[None, None]
        total = added if total is None else total + added
    return total


def _added(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.dtype == torch.bool:  # True = not looked at
        return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))
    return mask.to(dtype)
