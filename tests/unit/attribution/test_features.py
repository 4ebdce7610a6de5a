"""What `featurize` takes, refuses and promises."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from unskew.attribution import UncoveredParametersWarning, featurize, featurize_exact
from unskew.errors import DataError, ModelError, SettingsError
from unskew.models import small_cnn
from unskew.schemas.params import AttributeParams


def image_data(n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8), rng.integers(0, 2, n)


def cnn() -> nn.Module:
    torch.manual_seed(0)
    return small_cnn(2, 16, width=4)


class Scaled(nn.Module):
    """A parameter that no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale, self.head = nn.Linear(6, 4), nn.Parameter(torch.ones(4)), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x)) * self.scale)


def test_a_parameter_outside_the_layers_is_named_with_its_share() -> None:
    x, label = torch.randn(6, 6), np.arange(6) % 2
    with pytest.warns(UncoveredParametersWarning, match=r"leave out 9\.5% of the parameters: scale"):
        found = featurize(Scaled(), x, label, seed=0, projections="identity")
    assert found.covered == pytest.approx(1 - 4 / 42)


class PositionFirst(nn.Module):
    """A layer that sees (positions, examples): its rows cannot be read as one example after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, 2, 3)
        return self.head(torch.tanh(self.mixed(x.transpose(0, 1).flatten(0, 1))).reshape(2, len(x), 4).sum(0))


def test_shares_in_another_examples_place_are_noticed() -> None:
    x, label = torch.randn(6, 2, 3), np.arange(6) % 2
    with pytest.warns(UncoveredParametersWarning, match=r"mixed\.weight"):
        found = featurize(PositionFirst(), x, label, seed=0, projections="identity")
    assert found.phi.shape == (6, 10)  # the layer's bias is left out as well; the head is kept


def test_grad_wrt_takes_patterns_and_refuses_what_matches_nothing() -> None:
    x, label = image_data()
    whole = featurize_exact(cnn(), x, label)
    head = featurize(cnn(), x, label, seed=0, projections="identity", params=AttributeParams(grad_wrt=["9.*"]))
    np.testing.assert_allclose(head.phi, whole.phi[:, -130:], rtol=1e-4, atol=1e-6)
    exact = featurize_exact(cnn(), x, label, params=AttributeParams(grad_wrt=["9.*"]))
    np.testing.assert_allclose(exact.phi, whole.phi[:, -130:], rtol=1e-4, atol=1e-6)
    with pytest.raises(SettingsError, match=r"'fc\.\*' matches no trainable parameter"):
        featurize(cnn(), x, label, seed=0, params=AttributeParams(grad_wrt=["fc.*"]))


@pytest.mark.parametrize("budget", [60, 300, 1000])
def test_projection_dim_is_a_budget_of_all_layers(budget: int) -> None:
    x, label = image_data()
    small, larger = (
        featurize(cnn(), x, label, seed=0, params=AttributeParams(projection_dim=b)).phi.shape[1]
        for b in (budget, 2 * budget)
    )
    assert small <= max(budget, 130) and small <= larger <= 2 * max(budget, 130)


def test_frozen_parameters_are_left_out_and_flags_come_back() -> None:
    x, label = image_data()
    model = cnn()
    model[0].requires_grad_(False)
    flags = [p.requires_grad for p in model.parameters()]
    model.train()
    found = featurize(model, x, label, seed=0, projections="identity")
    assert found.phi.shape[1] == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(module.training for module in model.modules())


def test_chunks_have_the_bits_of_one_pass() -> None:
    x, label = image_data(24)
    params = AttributeParams(batch_size=4, storage="float16")
    whole = featurize(cnn(), x, label, seed=0, params=params)
    parts = [featurize(cnn(), x, label, seed=0, params=params, rows=rows) for rows in ((0, 8), (8, 20), (20, 24))]
    for name in ("phi", "scale", "one_minus_p", "loss", "prediction"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(joined, getattr(whole, name)), name


def test_half_precision_storage_keeps_three_digits_of_any_size() -> None:
    x, label = image_data()
    model = cnn()
    with torch.no_grad():
        model[-1].weight *= 1e5
    full = featurize(model, x, label, seed=0)
    half = featurize(model, x, label, seed=0, params=AttributeParams(storage="float16"))
    assert half.phi.dtype == np.float16
    found = half.rows.read(slice(None))
    assert np.abs(found - full.phi).max(axis=1) == pytest.approx(0, abs=float(1e-3 * np.abs(full.phi).max()))


def test_bfloat16_is_close_and_asked_for() -> None:
    x, label = image_data()
    full = featurize(cnn(), x, label, seed=0)
    mixed = featurize(cnn(), x, label, seed=0, params=AttributeParams(mixed_precision=True))
    assert not np.array_equal(full.phi, mixed.phi)
    assert np.linalg.norm(mixed.phi - full.phi) < 0.05 * np.linalg.norm(full.phi)


def test_a_batch_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    x, label = image_data(9)
    model = cnn()
    whole = featurize(model, x, label, seed=0)

    def forward(batch: torch.Tensor, inner: object = model.forward) -> torch.Tensor:
        if len(batch) > 4:
            raise torch.OutOfMemoryError("no room")
        return inner(batch)  # type: ignore[operator]

    monkeypatch.setattr(model, "forward", forward)
    np.testing.assert_allclose(featurize(model, x, label, seed=0).phi, whole.phi, rtol=1e-4, atol=1e-5)


class Stubborn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.drop = nn.Linear(6, 2), nn.Dropout(0.5)

    def train(self, mode: bool = True) -> Stubborn:
        return super().train(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(x))


class AlwaysDrops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(600, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.dropout(x, 0.5, training=True))


def test_models_that_are_not_as_they_predict_are_refused() -> None:
    label = np.arange(6) % 2
    with pytest.raises(ModelError, match=r"'model' \(Stubborn\) stays in training mode"):
        featurize(Stubborn(), torch.randn(6, 6), label, seed=0)
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="is random in evaluation mode, or mixes the examples"):
        featurize(AlwaysDrops(), 10 * torch.randn(6, 600), label, seed=0)
    mixing = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 2))
    with pytest.raises((ModelError, ValueError), match=r"mixes the examples|more than 1 value"):
        featurize(mixing, torch.randn(6, 6), label, seed=0)


def test_errors_name_the_example() -> None:
    x, label = image_data()

    def name(row: int) -> str:
        return f"train example {100 + row}"

    label[7] = -1
    with pytest.raises(DataError, match="There is no label at train example 107"):
        featurize(cnn(), x, label, seed=0, name=name)
    label[7] = 2
    with pytest.raises(DataError, match="Label 2 at train example 107 is not among the model's 2"):
        featurize(cnn(), x, label, seed=0, name=name)
    label[7] = 0
    inputs = torch.randn(10, 3, 16, 16)
    inputs[8, 0, 0, 0] = float("nan")
    for engine in (lambda *a, **k: featurize(*a, seed=0, **k), featurize_exact):
        with pytest.raises(ModelError, match="The margin of train example 108 is nan"):
            engine(cnn(), inputs, label, name=name)


def test_a_covered_model_warns_of_nothing() -> None:
    x, label = image_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UncoveredParametersWarning)
        assert featurize(cnn(), x, label, seed=0).covered == 1.0


def test_activation_aware_directions_are_where_inputs_and_gradients_lie() -> None:
    """Inputs in a plane of 40 dimensions: two columns lose nothing; both splits of a checkpoint get the same ones."""
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((2, 40))
    x, z = (torch.from_numpy(rng.standard_normal((n, 2)) @ plane).float() for n in (50, 12))
    label, target = np.arange(50) % 2, np.arange(12) % 2
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30, bias=False), nn.Tanh(), nn.Linear(30, 2, bias=False))
    whole = [featurize_exact(model, *split).phi for split in ((x, label), (z, target))]
    truth = whole[0] @ whole[1].T
    errors = {}
    for kind in ("random", "pca"):
        params = AttributeParams.model_validate({"projection_in": 4, "projection_out": 6, "projection": kind})
        a = featurize(model, x, label, seed=0, params=params)
        b = featurize(model, z, target, seed=0, params=params, basis=(x, label))
        errors[kind] = np.abs(a.phi @ b.phi.T - truth).max() / np.abs(truth).max()
    assert errors["pca"] < 0.25 * errors["random"]


def test_activation_aware_convolutions_and_attention_are_covered() -> None:
    x, label = image_data(24)
    params = AttributeParams(projection="pca", projection_in=6, projection_out=3)
    random = featurize(cnn(), x, label, seed=0, params=params.model_copy(update={"projection": "random"}))
    found = featurize(cnn(), x, label, seed=0, params=params)
    assert found.covered == 1.0 and found.phi.shape == random.phi.shape
    whole = featurize_exact(cnn(), x, label).phi
    truth = whole @ whole.T
    errors = [np.linalg.norm(f.phi @ f.phi.T - truth) / np.linalg.norm(truth) for f in (found, random)]
    assert errors[0] < errors[1]
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(24 * 5, 2))
    assert featurize(model, torch.randn(24, 5, 24), label, seed=0, params=params).covered == 1.0
