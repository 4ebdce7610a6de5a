"""The whole loop in one call: its parts agree with each other, and no method sees labels that it must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import unskew
from unskew.data import Data, SplitArrays
from unskew.errors import SettingsError
from unskew.evaluation import group_metrics
from unskew.pruning import choose_k
from unskew.schemas.params import AttributeParams, InputShape, ModelSpec, TrainParams

SPEC = ModelSpec(kwargs={"width": 4})
PARAMS = TrainParams(epochs=8, batch_size=32, learning_rate=3e-3)
ATTRIBUTION = AttributeParams(projection_in=4, projection_out=4)


def _split(n: int, seed: int, minority: float, lift: int = 40) -> tuple[SplitArrays, np.ndarray]:
    """Class by brightness (weak), attribute by a stripe (strong); returns the split and its label-major groups."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    stripe = np.where(rng.random(n) < minority, 1 - label, label)
    pixels = rng.integers(0, 160, (n, 3, 8, 8), dtype=np.uint8)
    pixels += (label * lift).astype(np.uint8)[:, None, None, None]
    pixels[stripe == 1, :, :2] = 255
    return SplitArrays(pixels, label.astype(np.int64), {}), 2 * label + stripe


@pytest.fixture(scope="module")
def planted() -> tuple[Data, np.ndarray]:
    """Data with a planted stripe, and the validation groups."""
    torch.set_num_threads(1)
    train, _ = _split(200, 0, 0.05)
    validation, groups = _split(120, 1, 0.5)
    return Data(train, validation, None, ("dark", "bright"), InputShape.image(8)), groups


@pytest.mark.parametrize("method", ["trak", "auto_trak"])
def test_the_loop_removes_what_it_says(method: str, planted: tuple[Data, np.ndarray]) -> None:
    data, groups = planted
    stages: list[str] = []
    found = unskew.debias(
        SPEC,
        data,
        method,
        validation_groups=groups if method == "trak" else None,
        checkpoint_seeds=(0, 1),
        seeds=(0,),
        params=PARAMS,
        attribution=ATTRIBUTION,
        on_stage=stages.append,
    )
    k = len(found.removed)
    assert stages[-1] == f"retrain without {k} examples"
    assert k == choose_k(found.curve) and found.curve[0][0] == 0
    assert found.model.n_train == len(data.train) - k
    others = np.setdiff1d(np.arange(len(data.train)), found.removed)
    assert k == 0 or found.alignment[found.removed].max() <= found.alignment[others].min()
    if method == "trak":
        assert np.array_equal(found.groups, groups)
    else:
        assert np.array_equal(found.groups // 2, data.validation.label)  # pseudo-groups stay inside their class
    measured = group_metrics(found.model.validation.prediction, data.validation.label, found.groups, 4)
    assert measured.worst_group_accuracy == max(worst for _, worst, _ in found.curve)
    assert len(found.erm) == 2 and found.attribution.n_train == len(data.train)


def test_a_second_round_looks_at_what_the_first_left() -> None:
    torch.set_num_threads(1)
    train, validation = _split(300, 0, 0.2, lift=20)[0], _split(160, 1, 0.5, lift=20)[0]
    data = Data(train, validation, None, ("dark", "bright"), InputShape.image(8))
    params = PARAMS.model_copy(update={"epochs": 10})  # long enough to lean on the stripe: a round removes something
    common = dict(checkpoint_seeds=(0,), seeds=(0,), params=params, attribution=ATTRIBUTION)
    once = unskew.debias(SPEC, data, rounds=1, **common)  # type: ignore[arg-type]
    twice = unskew.debias(SPEC, data, rounds=2, **common)  # type: ignore[arg-type]
    assert once.then is None and len(once.removed)
    assert twice.then is not None and set(once.removed) <= set(twice.removed)
    assert len(twice.removed) == len(once.removed) + len(twice.then.removed)
    assert twice.model.n_train == len(data.train) - len(twice.removed)
    assert twice.then.curve[0][0] == 0  # what the first round left competes


def test_the_function_stays_a_function() -> None:
    from unskew import one_call

    assert unskew.debias is unskew.debias is one_call.debias


def test_labels_that_a_method_must_not_see(planted: tuple[Data, np.ndarray]) -> None:
    data, groups = planted
    with pytest.raises(SettingsError, match="auto_trak must not see any"):
        unskew.debias(SPEC, data, validation_groups=groups)
    with pytest.raises(SettingsError, match="trak needs validation_groups"):
        unskew.debias(SPEC, data, "trak")
    with pytest.raises(SettingsError, match="subg does not prune"):
        unskew.debias(SPEC, data, "subg")
