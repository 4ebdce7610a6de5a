"""Every method end to end on small data: it learns, balances what it says it balances, stops early, resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unskew.data import Data
from unskew.errors import SettingsError
from unskew.evaluation import group_metrics
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec, TrainParams, TuningParams
from unskew.training import RECIPES, TrainResult, train
from unskew.training import loop as training_loop

PARAMS = TrainParams(epochs=20, batch_size=16, learning_rate=3e-3)
BRIEF = TuningParams(
    lengths=(1.0,), subsample_lengths=(1.0,), dro_step_sizes=(0.1,), jtt_first=(0.1,), jtt_upweights=(4,), dfr_draws=3,
    afr_gammas=(4.0,), afr_penalties=(0.0,), afr_steps=100,
)  # fmt: skip
SHORT = TrainParams(epochs=4, batch_size=32)
GROUPED = [m for m in Method if RECIPES[m].reads_validation_groups and not RECIPES[m].prunes]


def given(method: Method, groups: dict[str, Any]) -> dict[str, Any]:
    chosen = RECIPES[method]
    found: dict[str, Any] = {"discovered": chosen.discovered, "groups_per_class": 2}
    if chosen.reads_training_groups:
        found["train_groups"] = groups["train"]
    if chosen.reads_validation_groups:
        found["validation_groups"] = groups["validation"]
    return found


def worst(found: TrainResult, data: Data, groups: dict[str, Any]) -> float:
    measured = group_metrics(found.validation.prediction, data.validation.label, groups["validation"], 4)
    return measured.worst_group_accuracy


@pytest.fixture(scope="module")
def erm(data: Data) -> TrainResult:
    return train("erm", data, model=ModelSpec(kwargs={"width": 2}), seed=0, params=PARAMS)


@pytest.mark.parametrize("method", GROUPED)
def test_who_reads_groups_serves_the_worst_one_no_worse_than_erm(
    method: Method, data: Data, groups: dict[str, Any], small: ModelSpec, erm: TrainResult, tmp_path: Path
) -> None:
    seen: list[float] = []
    found = train(
        method, data, model=small, seed=0, params=PARAMS, tuning=BRIEF, on_epoch=lambda e, _: seen.append(e),
        state_path=tmp_path / "s", **given(method, groups),
    )  # fmt: skip
    if RECIPES[method].kind != "jtt":  # its first model is no better than chance on so little data
        assert worst(found, data, groups) >= worst(erm, data, groups) - 0.1
    assert seen == sorted(seen) and (not seen or seen[-1] == pytest.approx(20, abs=1))
    assert found.setting and list(tmp_path.iterdir()) == []
    expected = 4 * int(np.bincount(groups["train"]).min()) if RECIPES[method].kind == "subsample" else 90
    assert found.n_train == expected


@pytest.mark.parametrize("method", ["group_dro", "lisa", "jtt", "afr", "auto_rwg", "auto_lisa"])
def test_a_resumed_method_equals_an_undisturbed_one(
    method: str, data: Data, groups: dict[str, Any], small: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "_SAVE_EVERY", 0.0)  # at every epoch
    monkeypatch.setattr(training_loop, "_SAVE_SHARE", float("inf"))
    common: dict[str, Any] = {"model": small, "seed": 0, "params": SHORT, "tuning": BRIEF}
    common |= given(Method(method), groups)
    batches = 0

    def count() -> bool:
        nonlocal batches
        batches += 1
        return False

    undisturbed = train(method, data, should_stop=count, **common)
    stop_at = batches // 2
    batches = 0

    def stop() -> bool:
        count()
        return batches > stop_at

    with pytest.raises(Exception, match=r"^$"):
        train(method, data, should_stop=stop, state_path=tmp_path / "s", **common)
    resumed = train(method, data, state_path=tmp_path / "s", **common)
    assert all(torch.equal(resumed.state[k], undisturbed.state[k]) for k in resumed.state)
    assert resumed.curves == undisturbed.curves and resumed.setting == undisturbed.setting


def test_a_run_that_chooses_ends_at_its_best_epoch(data: Data, groups: dict[str, Any], small: ModelSpec) -> None:
    found = train("rwy", data, model=small, seed=0, params=PARAMS, tuning=BRIEF)
    curve = [v for _, name, v in found.curves if name == "worst_class_accuracy"]
    label = data.validation.label
    assert max(curve) == pytest.approx(group_metrics(found.validation.prediction, label, label, 2).worst_group_accuracy)


def test_lisa_needs_the_numbering_of_its_groups(data: Data, groups: dict[str, Any], small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="how many groups a class has"):
        train("lisa", data, model=small, seed=0, train_groups=groups["train"])


@pytest.mark.parametrize("method", ["dfr", "auto_dfr"])
def test_dfr_needs_validation_groups(method: str, data: Data, small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="needs the groups of validation examples"):
        train(method, data, model=small, seed=0)
    with pytest.raises(SettingsError, match="No validation example is in a group"):
        nobody = np.full(40, -1)
        train(method, data, model=small, seed=0, validation_groups=nobody, discovered=method == "auto_dfr")
