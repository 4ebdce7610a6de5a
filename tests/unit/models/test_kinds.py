"""Reference models of texts and tables, and modules in the manner of Hugging Face, through the same path as images."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from unskew.attribution import attribute
from unskew.data import Data, SplitArrays
from unskew.errors import ModelError
from unskew.models import build, preprocess
from unskew.schemas.enums import DataKind
from unskew.schemas.params import AttributeParams, InputShape, ModelSpec, TrainParams
from unskew.training import train

HUGGING_FACE = """
from types import SimpleNamespace

from torch import nn


class Encoder(nn.Module):
    def __init__(self, num_classes, vocabulary_size, width=8):
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None):
        mask = attention_mask.unsqueeze(2)
        pooled = (self.words(input_ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return SimpleNamespace(logits=self.head(pooled), hidden_states=None)
"""
TEXT, ROWS = InputShape.text(n_tokens=6, vocabulary_size=12), InputShape.table(n_features=5)


@pytest.fixture
def own_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSpec]:
    (tmp_path / "own_encoder.py").write_text(HUGGING_FACE)
    monkeypatch.chdir(tmp_path)
    yield ModelSpec(factory="own_encoder:Encoder")
    sys.modules.pop("own_encoder", None)


def data(shape: InputShape) -> Data:
    """Learnable: class 1 holds token 3, or a large first column."""
    rng = np.random.default_rng(0)

    def part(n: int) -> SplitArrays:
        label = np.arange(n) % 2
        if shape.kind is DataKind.TEXT:
            inputs = rng.integers(4, 12, (n, 6)).astype(np.int32)
            inputs[:, 4:] = 0
            inputs[label == 1, 0] = 3
        else:
            inputs = rng.normal(size=(n, 5)).astype(np.float32)
            inputs[:, 0] += 5 * label
        return SplitArrays(inputs, label.astype(np.int64), {})

    return Data(part(96), part(32), None, ("no", "yes"), shape)


def small(kind: DataKind) -> ModelSpec:
    return ModelSpec(kwargs={"width": 8, "heads": 2, "depth": 1} if kind is DataKind.TEXT else {"width": 8})


@pytest.mark.parametrize("shape", [TEXT, ROWS], ids=["text", "table"])
def test_the_reference_model_of_each_kind_learns_and_is_attributed_whole(shape: InputShape) -> None:
    found = data(shape)
    result = train("erm", found, model=small(shape.kind), seed=0, params=TrainParams(epochs=20, learning_rate=1e-2))
    assert (result.validation.prediction == found.validation.label).mean() > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a parameter left out would be named in a warning
        attribution = attribute(
            small(shape.kind), [result.state], found.train, found.validation, n_classes=2, shape=shape
        )
    assert attribution.diagnostics["covered"] == [1.0]
    assert attribution.tau().shape == (96, 32)


@pytest.mark.parametrize("shape", [TEXT, ROWS], ids=["text", "table"])
def test_factored_features_are_the_exact_gradients(shape: InputShape) -> None:
    from unskew.attribution import featurize, featurize_exact

    found = data(shape).validation
    model = build(small(shape.kind), n_classes=2, shape=shape, seed=0)
    params = AttributeParams(batch_size=10)
    ours = featurize(model, found.inputs, found.label, params=params, seed=0, projections="identity").phi
    exact = featurize_exact(model, found.inputs, found.label, params=params).phi
    np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-5)


def test_padding_does_not_change_what_a_text_says() -> None:
    model = build(small(DataKind.TEXT), n_classes=2, shape=TEXT, seed=0).eval()
    with torch.no_grad():
        short, padded = model(torch.tensor([[5, 6, 7]])), model(torch.tensor([[5, 6, 7, 0, 0, 0]]))
    assert torch.allclose(short, padded, atol=1e-6)


def test_an_output_with_logits_is_understood_and_its_mask_is_passed(own_encoder: ModelSpec) -> None:
    found = data(TEXT)
    result = train("erm", found, model=own_encoder, seed=0, params=TrainParams(epochs=30, learning_rate=3e-2))
    assert set(result.state) == {"words.weight", "head.weight", "head.bias"}  # names are the user's own
    assert (result.validation.prediction == found.validation.label).mean() > 0.9
    tau = attribute(own_encoder, [result.state], found.train, found.validation, n_classes=2, shape=TEXT).tau()
    assert np.isfinite(tau).all()


def test_preprocess_leaves_columns_and_makes_tokens_indices() -> None:
    assert preprocess(torch.tensor([[3, 0]], dtype=torch.int32)).dtype == torch.int64
    columns = torch.tensor([[0.5, -2.0]])
    assert torch.equal(preprocess(columns), columns)


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="small_cnn"):
        build(ModelSpec(factory="unskew.models:small_cnn"), n_classes=2, shape=TEXT, seed=0)
