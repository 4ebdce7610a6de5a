"""Every kind of layer against `torch.func`: whole gradients, and projected ones, to 1e-4 relative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from unskew.attribution import featurize, featurize_exact
from unskew.attribution.features import _layout
from unskew.schemas.params import AttributeParams

N = 5
TOLERANCE = 1e-4


class Net(nn.Module):
    """Layers in a row, then a head of two classes; averages what positions are left."""

    def __init__(self, *layers: nn.Module, channels: int, channel_dim: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(channels, 2)
        self.channel_dim = channel_dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        x = x.movedim(self.channel_dim, 1)
        return self.head(torch.tanh(x).flatten(2).mean(2) if x.dim() > 2 else torch.tanh(x))


class Attention(nn.Module):
    def __init__(self, **kwargs: object) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, **kwargs)  # type: ignore[arg-type]
        self.memory = nn.Linear(8, int(kwargs.get("kdim") or 8))  # type: ignore[call-overload]
        self.cross = "kdim" in kwargs or "cross" in kwargs
        self.first = self.attention.batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.first else x.transpose(0, 1)
        memory = x
        if self.cross:
            memory = self.memory(x if self.first else x.transpose(0, 1))
            memory = memory if self.first else memory.transpose(0, 1)
        y, _ = self.attention(x, memory, memory)
        return y if self.first else y.transpose(0, 1)


class Tied(nn.Module):
    """One embedding matrix reads the tokens and scores them, one layer is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 8, padding_idx=0)
        self.mix = nn.Linear(8, 8)
        self.scores = nn.Linear(8, 6, bias=False)
        self.scores.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.mix(torch.tanh(self.mix(self.embed(x)))))
        return self.scores(h).mean(1)[:, :3]


class Encoder(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=batch_first, activation="gelu")
        self.embed = nn.Embedding(11, 8)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = x == 0
        h = self.encoder(self.embed(x), src_key_padding_mask=padding)
        return self.head(h.masked_fill(padding[:, :, None], 0).sum(1))


def image(*shape: int) -> torch.Tensor:
    return torch.randn(N, *shape)


def tokens() -> torch.Tensor:
    x = torch.randint(1, 6, (N, 7))
    x[:, 5:] = 0
    return x


def trained_norm(norm: nn.Module) -> nn.Module:
    """Statistics and parameters away from their initial values."""
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return norm


CASES: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "linear": lambda: (Net(nn.Linear(6, 5), channels=5), image(6)),
    "linear over tokens": lambda: (Net(nn.Linear(6, 5), channels=5, channel_dim=2), image(4, 6)),
    "conv1d": lambda: (Net(nn.Conv1d(3, 4, 3, padding=1), channels=4), image(3, 9)),
    "conv1d dilated": lambda: (Net(nn.Conv1d(4, 6, 3, dilation=2, groups=2), channels=6), image(4, 9)),
    "conv2d": lambda: (Net(nn.Conv2d(3, 4, 3, padding=1), channels=4), image(3, 7, 7)),
    "conv2d strided": lambda: (
        Net(nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding="valid"), channels=4),
        image(3, 8, 7),
    ),
    "conv2d same": lambda: (Net(nn.Conv2d(3, 4, 4, padding="same", dilation=2), channels=4), image(3, 8, 7)),
    "conv2d depthwise": lambda: (Net(nn.Conv2d(4, 8, 3, groups=4, padding=1), channels=8), image(4, 6, 6)),
    "conv2d wide": lambda: (Net(nn.Conv2d(12, 9, 3, stride=2), channels=9), image(12, 7, 7)),
    "conv2d wide in groups": lambda: (Net(nn.Conv2d(16, 6, 3, groups=2), channels=6), image(16, 6, 6)),
    "conv2d to one pixel": lambda: (Net(nn.Conv2d(3, 6, 5), channels=6), image(3, 5, 5)),
    "conv3d": lambda: (Net(nn.Conv3d(2, 3, 2, padding=1), channels=3), image(2, 4, 4, 4)),
    **{
        f"conv{d}d {mode}": lambda conv=conv, d=d, mode=mode: (
            Net(conv(2, 3, 3, padding=1, padding_mode=mode, stride=2), channels=3),
            image(2, *[5] * d),
        )
        for d, conv in ((1, nn.Conv1d), (2, nn.Conv2d), (3, nn.Conv3d))
        for mode in ("reflect", "replicate", "circular")
    },
    "batch norm 1d": lambda: (Net(nn.Linear(6, 5), trained_norm(nn.BatchNorm1d(5)), channels=5), image(6)),
    "batch norm 2d": lambda: (Net(nn.Conv2d(3, 4, 3), trained_norm(nn.BatchNorm2d(4)), channels=4), image(3, 6, 6)),
    "instance norm": lambda: (Net(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), channels=4), image(3, 6, 6)),
    "group norm": lambda: (Net(nn.Conv2d(3, 4, 3), trained_norm(nn.GroupNorm(2, 4)), channels=4), image(3, 6, 6)),
    "layer norm": lambda: (Net(trained_norm(nn.LayerNorm(6)), channels=6, channel_dim=2), image(4, 6)),
    "layer norm over an image": lambda: (Net(trained_norm(nn.LayerNorm([3, 5, 5])), channels=3), image(3, 5, 5)),
    "rms norm": lambda: (Net(trained_norm(nn.RMSNorm(6)), channels=6, channel_dim=2), image(4, 6)),
    "in-place relu": lambda: (Net(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), channels=4), image(3, 6, 6)),
    "tied weights, a layer used twice": lambda: (Tied(), tokens()),
    "attention": lambda: (Net(Attention(batch_first=True), channels=8, channel_dim=2), image(4, 8)),
    "attention without bias": lambda: (
        Net(Attention(batch_first=True, bias=False), channels=8, channel_dim=2),
        image(4, 8),
    ),
    "attention, batch second": lambda: (Net(Attention(), channels=8, channel_dim=2), image(4, 8)),
    "attention to other sizes": lambda: (
        Net(Attention(batch_first=True, kdim=6, vdim=6), channels=8, channel_dim=2),
        image(4, 8),
    ),
    "transformer encoder": lambda: (Encoder(), tokens()),
}


def made(name: str) -> tuple[nn.Module, torch.Tensor, np.ndarray]:
    torch.manual_seed(sum(map(ord, name)))
    model, x = CASES[name]()
    return model.train(), x, np.arange(N) % 2


def close(found: np.ndarray, truth: np.ndarray) -> None:
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() <= TOLERANCE * np.abs(truth).max()


@pytest.mark.parametrize("name", CASES)
def test_whole_gradients_of_every_kind_of_layer(name: str) -> None:
    model, x, label = made(name)
    truth = featurize_exact(model, x, label)
    found = featurize(model, x, label, seed=0, projections="identity")
    assert found.covered == 1.0
    close(found.phi, truth.phi)
    np.testing.assert_allclose(found.loss, truth.loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_projected_gradients_of_every_kind_of_layer(name: str) -> None:
    model, x, label = made(name)
    params = AttributeParams(projection_in=4, projection_out=3)
    found = featurize(model, x, label, seed=3, params=params)
    layout = _layout(model, list(model.named_parameters()), params, "random", 3, torch.device("cpu"))
    whole = torch.from_numpy(featurize_exact(model, x, label).phi)
    parts = whole.split([p.numel() for p in model.parameters()], dim=1)
    truth = [
        layout.slots[id(p)].project(part.reshape(N, *p.shape))
        for p, part in zip(model.parameters(), parts, strict=True)
    ]
    close(found.phi, torch.cat(truth, dim=1).numpy())


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(16, 12, 3), nn.Linear(40, 30), nn.LayerNorm(1100)], ids=lambda m: type(m).__name__
)
def test_projections_keep_inner_products_in_expectation(layer: nn.Module) -> None:
    """Within 5 standard errors over 300 draws; the convolution's columns take two stages."""
    torch.manual_seed(0)
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    a, b = (torch.randn(1, *weight.shape) + 0.5 for _ in range(2))
    truth, found = float((a * b).sum()), []
    for seed in range(300):
        params = AttributeParams(projection_in=8, projection_out=8)
        layout = _layout(layer, [("weight", weight)], params, "random", seed, torch.device("cpu"))
        (slot,) = layout.slots.values()
        assert (slot.pointwise is not None) == isinstance(layer, nn.Conv2d)
        found.append(float((slot.project(a) * slot.project(b)).sum()))
    error = np.std(found) / np.sqrt(len(found))
    assert error < 0.1 * truth
    assert abs(np.mean(found) - truth) < 5 * error


def test_a_fused_fast_path_is_not_taken_and_comes_back() -> None:
    model, x, label = made("transformer encoder")
    before = torch.backends.mha.get_fastpath_enabled()
    featurize(model.eval().requires_grad_(True), x, label, seed=0)
    assert torch.backends.mha.get_fastpath_enabled() is before
    assert all("forward" not in vars(module) for module in model.modules())
