"""Last layers fitted anew: against scikit-learn directly, with more than two classes, and with what may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from unskew.data import Data
from unskew.errors import DataError, ModelError
from unskew.evaluation import group_metrics
from unskew.models import build
from unskew.schemas.params import ModelSpec, TrainParams, TuningParams
from unskew.training import heads, train
from unskew.training.inputs import InputSource

CPU = torch.device("cpu")


def blobs(n_classes: int, seed: int = 0, n: int = 240) -> tuple[Any, Any, Any]:
    """Embeddings with a core axis a class, and a strong axis that follows an attribute which is skewed."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, n_classes, n)
    attribute = np.where(rng.random(n) < 0.9, label % 2, 1 - label % 2)
    x = rng.normal(size=(n, n_classes + 3)).astype(np.float32)
    x[np.arange(n), label] += 2.5
    x[:, n_classes] += 4.0 * attribute
    x[:, -1] = 0.0  # a dead unit
    return x, label.astype(np.int64), (2 * label + attribute).astype(np.int64)


def test_refit_is_logistic_regression_on_standardised_rows() -> None:
    train_rows, *_ = blobs(2, 1)
    x, label, _ = blobs(2)
    head = heads.refit(train_rows, x, label, TuningParams(dfr_c=(0.3,)), 0, n_classes=2)
    scaler = StandardScaler().fit(train_rows.astype(np.float64))
    model = LogisticRegression(l1_ratio=1.0, C=0.3, solver="liblinear", random_state=0)
    model.fit(scaler.transform(x.astype(np.float64)), label)
    margins = x @ (head.weight[1] - head.weight[0]) + head.bias[1] - head.bias[0]
    assert np.allclose(margins, model.decision_function(scaler.transform(x.astype(np.float64))), atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_dfr_serves_the_worst_group_better_than_a_plain_refit(n_classes: int) -> None:
    train_rows, *_ = blobs(n_classes, 1)
    x, label, group = blobs(n_classes)
    tuning = TuningParams(dfr_draws=5)
    test_x, test_label, test_group = blobs(n_classes, 2, 2000)
    plain, balanced = (
        group_metrics((test_x @ h.weight.T + h.bias).argmax(1), test_label, test_group, 2 * n_classes)
        for h in (
            heads.refit(train_rows, x, label, tuning, 0, n_classes=n_classes),
            heads.dfr(train_rows, x, label, group, tuning, 0, n_classes=n_classes),
        )
    )
    assert balanced.worst_group_accuracy > plain.worst_group_accuracy + 0.05


def test_a_class_without_validation_examples_is_named() -> None:
    x, label, group = blobs(3)
    with pytest.raises(DataError, match="Class 2 has no validation example"):
        heads.dfr(x, x, label, np.where(label == 2, -1, group), TuningParams(), 0, n_classes=3)


def test_a_group_of_one_example_and_an_absent_one_do_not_stop_dfr() -> None:
    x, label, group = blobs(2)
    rare = np.flatnonzero(group == 1)
    group = np.where(np.isin(np.arange(len(group)), rare[1:]), -1, group)  # group 1 has one example left
    found = heads.dfr(x, x, label, np.where(group == 2, -1, group), TuningParams(dfr_draws=2), 0, n_classes=2)
    assert np.isfinite(found.weight).all() and "3 examples" in found.setting


def test_afr_never_ends_worse_than_its_first_stage_on_what_it_is_judged_by() -> None:
    x, label, group = blobs(2)
    start = heads.refit(x, x, label, TuningParams(), 0, n_classes=2)

    def judge(head: heads.Head) -> tuple[float, float]:
        found = group_metrics((x @ head.weight.T + head.bias).argmax(1), label, group, 4)
        return found.worst_group_accuracy, found.balanced_accuracy

    found = heads.afr(start, x, label, judge, TuningParams(afr_steps=40, afr_gammas=(0, 4)), None)
    assert judge(found) >= judge(start)
    assert (
        heads.afr(start, x, label, lambda h: (float(h is start), 0.0), TuningParams(afr_steps=20, afr_gammas=(4,)))
        is start
    )


def test_embeddings_and_last_layer_give_the_model_back(data: Data, small: ModelSpec) -> None:
    model = build(small, n_classes=2, shape=data.shape, seed=0)
    name = heads.last_layer(model, 2, data.shape, CPU)
    inputs = InputSource(data.validation.inputs, CPU)
    found = heads.embed(model, name, inputs, np.arange(40), CPU)
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear) and found.dtype == np.float32
    again = torch.from_numpy(found) @ layer.weight.T + layer.bias
    said = train("erm", data, model=small, seed=0, params=TrainParams(epochs=1)).validation
    assert again.shape == (40, 2) and len(said.loss) == 40


def no_last_layer(n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, n_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_model_without_a_last_linear_layer_is_refused(data: Data) -> None:
    with pytest.raises(ModelError, match="does not end in a linear layer"):
        train("refit", data, model=ModelSpec(factory=f"{__name__}:no_last_layer"), seed=0, params=TrainParams(epochs=1))


@pytest.mark.parametrize("method", ["dfr", "refit"])
def test_a_given_erm_model_is_not_trained_again(
    method: str, data: Data, groups: dict[str, Any], small: ModelSpec, short: TrainParams
) -> None:
    given = {"validation_groups": groups["validation"]} if method == "dfr" else {}
    erm = train("erm", data, model=small, seed=0, params=short)
    tuning = TuningParams(dfr_draws=3)
    seen: list[float] = []
    reused = train(
        method, data, model=small, seed=0, params=short, tuning=tuning, base=erm.state,
        on_epoch=lambda e, _: seen.append(e), **given,
    )  # fmt: skip
    assert seen == [] and reused.seconds == 0
    alone = train(method, data, model=small, seed=0, params=short, tuning=tuning, **given)
    assert all(torch.equal(reused.state[k], alone.state[k]) for k in alone.state)
    changed = [k for k in erm.state if not torch.equal(erm.state[k], alone.state[k])]
    assert len(changed) == 2, "only the last layer's weight and bias"
