"""One trainer: learns, repeats, resumes to the same bits, stops, and reports on one scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from unskew.data import Data
from unskew.errors import ModelError, SettingsError, Stopped
from unskew.evaluation import group_metrics
from unskew.memory import ran_out
from unskew.models import build
from unskew.schemas.params import InputShape, ModelSpec, TrainParams
from unskew.training import TrainResult, predict, train
from unskew.training import loop as training_loop
from unskew.training.loop import batch_bounds, epoch_seed

WITH_DROPOUT = ModelSpec(factory=f"{__name__}:with_dropout")


def with_dropout(n_classes: int, image_size: int) -> nn.Module:
    """Batch norm and dropout: state beside the weights, and randomness inside the layers."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(n_classes)
    )


def same(one: TrainResult, other: TrainResult) -> bool:
    return (
        all(torch.equal(one.state[k], other.state[k]) for k in one.state)
        and np.array_equal(one.validation.loss, other.validation.loss)
        and one.curves == other.curves
    )


def test_it_learns_and_reports(data: Data, small: ModelSpec) -> None:
    params = TrainParams(epochs=20, batch_size=16, learning_rate=3e-3)
    seen: list[tuple[float, dict[str, float]]] = []
    result = train("erm", data, model=small, seed=0, params=params, on_epoch=lambda e, m: seen.append((e, m)))
    assert [e for e, _ in seen] == list(range(1, 21))
    assert set(seen[0][1]) == {"train_loss", "validation_loss", "validation_accuracy", "worst_class_accuracy"}
    assert seen[-1][1]["train_loss"] < 0.5 * seen[0][1]["train_loss"]
    assert result.curves == [(e, name, value) for e, metrics in seen for name, value in metrics.items()]
    assert result.n_train == 90 and result.seconds > 0
    assert result.test is not None and len(result.test.prediction) == 30
    accuracy = float((result.validation.prediction == data.validation.label).mean())
    assert accuracy == seen[-1][1]["validation_accuracy"]


def test_result_follows_from_the_arguments_and_leaves_the_random_state_alone(
    data: Data, small: ModelSpec, short: TrainParams
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = train("erm", data, model=small, seed=1, params=short)
    torch.rand(3)
    again = train("erm", data, model=small, seed=1, params=short)
    assert same(one, again)
    torch.set_rng_state(before)
    train("erm", data, model=WITH_DROPOUT, seed=1, params=short)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(one, train("erm", data, model=small, seed=2, params=short))


def test_state_gives_back_the_predictions(data: Data, small: ModelSpec, short: TrainParams) -> None:
    result = train("erm", data, model=small, seed=0, params=short)
    model = build(small, n_classes=2, shape=InputShape.image(8), seed=99)
    model.load_state_dict(result.state)
    found = predict(model, data.validation.inputs, data.validation.label, batch_size=7)
    assert np.array_equal(found.prediction, result.validation.prediction)
    assert np.allclose(found.loss, result.validation.loss, atol=1e-6)
    assert found.prediction.dtype == np.int64 and found.loss.dtype == np.float32


def test_only_kept_rows_matter(data: Data, small: ModelSpec, short: TrainParams) -> None:
    keep = np.arange(0, 90, 2)
    one = train("trak", data, model=small, seed=0, keep=keep, params=short)
    assert one.n_train == 45
    assert same(one, train("random_k", data, model=small, seed=0, keep=keep[::-1], params=short))
    pixels = data.train.inputs.copy()
    pixels[1::2] = 0
    blanked = replace(data, train=replace(data.train, inputs=pixels))
    assert same(one, train("trak", blanked, model=small, seed=0, keep=keep, params=short))


def test_keeping_everything_is_erm(data: Data, small: ModelSpec, short: TrainParams) -> None:
    one = train("erm", data, model=small, seed=0, params=short)
    assert same(one, train("auto_trak", data, model=small, seed=0, keep=np.arange(90), params=short))


def test_memory_mapped_and_read_only_arrays_train_alike(
    data: Data, small: ModelSpec, short: TrainParams, tmp_path: Path
) -> None:
    np.save(tmp_path / "p.npy", data.train.inputs)
    np.save(tmp_path / "l.npy", data.train.label)
    pixels, label = (np.load(tmp_path / name, mmap_mode="r") for name in ("p.npy", "l.npy"))
    mapped = replace(data, train=replace(data.train, inputs=pixels, label=label))
    one = train("erm", data, model=small, seed=0, params=short)
    assert same(one, train("erm", mapped, model=small, seed=0, params=short))


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule", ["onecycle", "constant"])
def test_a_resumed_run_equals_an_undisturbed_one(
    optimizer: Any, schedule: Any, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "_SAVE_EVERY", 0.0)  # at every epoch
    monkeypatch.setattr(training_loop, "_SAVE_SHARE", float("inf"))
    params = TrainParams(epochs=4, batch_size=16, optimizer=optimizer, schedule=schedule)
    undisturbed = train("erm", data, model=WITH_DROPOUT, seed=3, params=params)
    state, batches = tmp_path / "state", 0

    def stop() -> bool:
        """Say so in the middle of the third epoch."""
        nonlocal batches
        batches += 1
        return batches > 19

    with pytest.raises(Stopped):
        train("erm", data, model=WITH_DROPOUT, seed=3, params=params, state_path=state, should_stop=stop)
    assert len(list(tmp_path.iterdir())) == 1
    seen: list[float] = []
    resumed = train(
        "erm", data, model=WITH_DROPOUT, seed=3, params=params, state_path=state, on_epoch=lambda e, _: seen.append(e)
    )
    assert seen == [3, 4]  # two epochs were not repeated
    assert same(undisturbed, resumed)
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_another_run_is_not_used(
    data: Data, small: ModelSpec, short: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "_SAVE_EVERY", 0.0)
    monkeypatch.setattr(training_loop, "_SAVE_SHARE", float("inf"))
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 9

    with pytest.raises(Stopped):
        train("erm", data, model=small, seed=1, params=short, state_path=tmp_path / "s", should_stop=stop)
    assert list(tmp_path.iterdir())
    seen: list[float] = []
    other = train(
        "erm", data, model=small, seed=2, params=short, state_path=tmp_path / "s", on_epoch=lambda e, _: seen.append(e)
    )
    assert seen == [1, 2, 3] and same(other, train("erm", data, model=small, seed=2, params=short))


def test_a_broken_state_starts_from_the_beginning(
    data: Data, small: ModelSpec, short: TrainParams, tmp_path: Path
) -> None:
    (tmp_path / "s.0").write_bytes(b"half a file")
    found = train("erm", data, model=small, seed=1, params=short, state_path=tmp_path / "s")
    assert same(found, train("erm", data, model=small, seed=1, params=short))


def test_subg_balances_and_picks_a_length(data: Data, groups: dict[str, Any], small: ModelSpec, tmp_path: Path) -> None:
    params = TrainParams(epochs=8, batch_size=16, learning_rate=3e-3)
    seen: list[float] = []
    result = train(
        "subg",
        data,
        model=small,
        seed=0,
        params=params,
        train_groups=groups["train"],
        validation_groups=groups["validation"],
        on_epoch=lambda e, _: seen.append(e),
        state_path=tmp_path / "s",
    )
    assert result.n_train == 4 * np.bincount(groups["train"]).min()
    assert seen == sorted(seen) and seen[-1] == pytest.approx(8) and len(seen) <= 3 * (8 + 2)
    assert {e for e, _, _ in result.curves} < set(seen)  # the curves of the length that won
    erm = train("erm", data, model=small, seed=0, params=params)
    worst = [
        group_metrics(r.validation.prediction, data.validation.label, groups["validation"], 4).worst_group_accuracy
        for r in (erm, result)
    ]
    assert worst[1] >= worst[0]
    assert list(tmp_path.iterdir()) == []


def test_subg_does_not_repeat_finished_lengths(
    data: Data, groups: dict[str, Any], small: ModelSpec, short: TrainParams, tmp_path: Path
) -> None:
    given = {"train_groups": groups["train"], "validation_groups": groups["validation"]}
    undisturbed_seen: list[float] = []
    undisturbed = train(
        "subg", data, model=small, seed=0, params=short, on_epoch=lambda e, _: undisturbed_seen.append(e), **given
    )
    seen: list[float] = []

    def record(epoch: float, _: dict[str, float]) -> None:
        seen.append(epoch)
        if len(seen) == len(undisturbed_seen) - 1:  # inside the last length
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("subg", data, model=small, seed=0, params=short, on_epoch=record, state_path=tmp_path / "s", **given)
    again: list[float] = []
    resumed = train(
        "subg",
        data,
        model=small,
        seed=0,
        params=short,
        on_epoch=lambda e, _: again.append(e),
        state_path=tmp_path / "s",
        **given,
    )
    assert same(undisturbed, resumed)
    assert again[0] > undisturbed_seen[0] and again[-1] == undisturbed_seen[-1]


def test_divergence_is_a_clear_error(data: Data, small: ModelSpec) -> None:
    params = TrainParams(epochs=5, learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(ModelError, match=r"diverged in epoch \d: the loss is (nan|inf).*Lower the learning rate"):
        train("erm", data, model=small, seed=0, params=params)


def frozen(n_classes: int) -> nn.Module:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, n_classes))
    return model.requires_grad_(False)


def test_a_frozen_model_cannot_be_trained(data: Data) -> None:
    with pytest.raises(ModelError, match="no trainable parameter"):
        train("erm", data, model=ModelSpec(factory=f"{__name__}:frozen"), seed=0)


def test_wrong_number_of_validation_groups(data: Data, groups: dict[str, Any], small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="There are 3 validation groups for 40 rows"):
        train("subg", data, model=small, seed=0, train_groups=groups["train"], validation_groups=np.array([0, 1, 2]))


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_very_short_runs_work(epochs: int, data: Data, small: ModelSpec) -> None:
    params = TrainParams(epochs=epochs, batch_size=1000)  # one step an epoch
    assert train("erm", data, model=small, seed=0, params=params).n_train == 90


def test_no_test_split(data: Data, small: ModelSpec, short: TrainParams) -> None:
    assert train("erm", replace(data, test=None), model=small, seed=0, params=short).test is None


def test_predict_restores_the_mode_and_stops(data: Data, small: ModelSpec) -> None:
    model = build(small, n_classes=2, shape=InputShape.image(8), seed=0).train()
    predict(model, data.validation.inputs, data.validation.label)
    assert model.training
    with pytest.raises(Stopped):
        predict(model, data.validation.inputs, data.validation.label, should_stop=lambda: True)
    assert model.training


def test_a_row_left_over_joins_the_batch_before() -> None:
    assert batch_bounds(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert batch_bounds(9, 4) == [(0, 4), (4, 9)]
    assert batch_bounds(1, 4) == [(0, 1)] and batch_bounds(4, 4) == [(0, 4)]


def test_neighbouring_seeds_and_epochs_do_not_share_random_numbers() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}
    assert len(seeds) == 400


class Bounded(nn.Module):
    """A linear model on a device that holds `most` rows at a time."""

    def __init__(self, n_classes: int, image_size: int, most: int) -> None:
        super().__init__()
        self.most, self.last = most, nn.Linear(3 * image_size**2, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most and (self.most or self.training):  # a model is tried with two rows before it is trained
            raise torch.OutOfMemoryError(f"no room for {len(x)} rows")
        return self.last(x.flatten(1))


def bounded(most: int) -> ModelSpec:
    return ModelSpec(factory=f"{__name__}:Bounded", kwargs={"most": most})


def test_a_batch_that_does_not_fit_is_learned_from_in_parts(data: Data) -> None:
    params = TrainParams(epochs=3, batch_size=32)
    whole = train("erm", data, model=bounded(1000), seed=0, params=params)
    parts = train("erm", data, model=bounded(10), seed=0, params=params)
    assert "4 parts because memory ran out" in parts.setting and "memory" not in whole.setting
    for name, values in whole.state.items():
        torch.testing.assert_close(parts.state[name], values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts.validation.loss, whole.validation.loss, rtol=1e-3, atol=1e-4)


def test_a_run_in_parts_goes_on_in_parts(data: Data, tmp_path: Path) -> None:
    params = TrainParams(epochs=4, batch_size=32)
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 7

    whole = train("erm", data, model=bounded(10), seed=0, params=params)
    with pytest.raises(Stopped):
        train("erm", data, model=bounded(10), seed=0, params=params, state_path=tmp_path / "s", should_stop=stop)
    assert same(train("erm", data, model=bounded(10), seed=0, params=params, state_path=tmp_path / "s"), whole)


def test_memory_that_holds_no_row_fails_clearly(data: Data) -> None:
    with pytest.raises(ModelError, match=r"Memory ran out in training, with 1 rows.*batch smaller than 16"):
        train("erm", data, model=bounded(0), seed=0, params=TrainParams(epochs=1, batch_size=16))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of range"), False),
    ],
)
def test_what_counts_as_memory_that_ran_out(error: BaseException, expected: bool) -> None:
    assert ran_out(error) is expected
