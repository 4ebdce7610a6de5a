"""The reference network of texts: a transformer encoder trained from scratch on token ids, 0 = padding."""

from __future__ import annotations

import math

import torch
from torch import nn


class _Block(nn.Module):
    """Pre-norm self-attention and a feed-forward layer, each added to its input. Linear layers only, so that gradient
    features cover all of it (`nn.MultiheadAttention` keeps its weights outside a Linear)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        a = self.norm_attention(x)
        q, k, v = (
            layer(a).view(n, length, self.heads, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )  # (n, heads, length, width / heads)
        weight = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        weight = weight.masked_fill(~mask[:, None, None], -1e9).softmax(dim=3)  # (n, heads, length, length)
        x = x + self.out((weight @ v).transpose(1, 2).reshape(n, length, width))
        fed: torch.Tensor = x + self.feed(self.norm_feed(x))
        return fed


class _Transformer(nn.Module):
    def __init__(self, n_classes: int, n_tokens: int, vocabulary_size: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.places = nn.Embedding(n_tokens, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = tokens != 0  # (n, length)
        place = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        x = self.tokens(tokens) + self.places(place)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x) * mask.unsqueeze(2)
        logits: torch.Tensor = self.head(x.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1))
        return logits


def small_transformer(
    n_classes: int, n_tokens: int, vocabulary_size: int, width: int = 32, depth: int = 2, heads: int = 4
) -> nn.Module:
    """A transformer encoder with mean pooling, trained from scratch; no dropout, so that seeds are the only chance.

    Args:
        width: of an embedding; a multiple of heads.
    """
    return _Transformer(n_classes, n_tokens, vocabulary_size, width, depth, heads)
