"""A training loop of one's own: the same loop written outside gives the same bits, for every method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unskew.data import Data
from unskew.errors import ModelError, Stopped
from unskew.schemas.params import ModelSpec, TrainParams
from unskew.training import train
from unskew.training.own import Training

HERE = f"{__name__}:"
SHORT = {"epochs": 3, "batch_size": 16}


def like_ours(run: Training) -> None:
    weights = run.model.parameters()
    optimizer = torch.optim.AdamW(weights, lr=run.params.learning_rate, weight_decay=run.params.weight_decay)
    steps = max(run.n_epochs * run.n_batches, 10)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, run.params.learning_rate, total_steps=steps, pct_start=0.2
    )
    for epoch in run.epochs():
        for batch in run.batches(epoch):
            optimizer.zero_grad()
            run.loss(batch).backward()
            optimizer.step()
            schedule.step()


def whole(run: Training) -> None:
    """Neither epochs nor batches of ours: one step on rows of its own."""
    (batch, *_) = run.batches(0)
    torch.nn.functional.cross_entropy(run.model(batch.inputs), batch.label).backward()
    torch.optim.SGD(run.model.parameters(), lr=0.01).step()


def diverges(run: Training) -> None:
    optimizer = torch.optim.SGD(run.model.parameters(), lr=1e30)
    for epoch in run.epochs():
        for batch in run.batches(epoch):
            optimizer.zero_grad()
            run.loss(batch).backward()
            optimizer.step()


def broken(run: Training) -> None:
    raise ValueError("no such optimizer")


def spoils(run: Training) -> None:
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))


@pytest.mark.parametrize("method", ["erm", "rwg", "group_dro", "lisa", "jtt", "afr", "suby"])
def test_the_same_loop_gives_the_same_model(
    method: str, data: Data, groups: dict[str, np.ndarray], small: ModelSpec
) -> None:
    given: dict[str, Any] = {}
    if method in ("rwg", "group_dro", "lisa"):
        given = {"train_groups": groups["train"], "validation_groups": groups["validation"], "groups_per_class": 2}
    ours, own = (
        train(method, data, model=small, seed=3, params=TrainParams(**SHORT, trainer=path), **given)
        for path in (None, HERE + "like_ours")
    )
    assert all(torch.equal(ours.state[name], own.state[name]) for name in ours.state)
    assert np.array_equal(ours.validation.loss, own.validation.loss) and ours.setting == own.setting
    assert [c[:2] for c in ours.curves] == [c[:2] for c in own.curves]
    np.testing.assert_allclose([c[2] for c in ours.curves], [c[2] for c in own.curves], rtol=1e-5)


def test_a_trainer_with_a_loop_of_its_own_is_judged_at_the_end(data: Data, small: ModelSpec) -> None:
    params = TrainParams(**SHORT, trainer=HERE + "whole")
    found = train("erm", data, model=small, seed=0, params=params)
    assert {name for _, name, _ in found.curves} == {"validation_loss", "validation_accuracy", "worst_class_accuracy"}
    assert [epoch for epoch, *_ in found.curves] == [3.0] * 3


def test_progress_is_told_and_a_stop_heard(data: Data, small: ModelSpec) -> None:
    params, seen, asked = TrainParams(**SHORT, trainer=HERE + "like_ours"), [], iter([False] * 8 + [True] * 9)

    def heard() -> bool:
        return next(asked)

    with pytest.raises(Stopped):
        train("erm", data, model=small, seed=0, params=params, on_epoch=lambda e, m: seen.append(e), should_stop=heard)
    assert seen == [1.0]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("broken", "The trainer '.*:broken' failed: ValueError: no such optimizer. Mend the trainer."),
        ("diverges", "diverged in epoch"),
        ("spoils", "not finite"),
        ("nothing", "has no 'nothing'"),
        ("HERE", "is a str, not a trainer"),
    ],
)
def test_what_does_not_train_is_said(path: str, words: str, data: Data, small: ModelSpec) -> None:
    with pytest.raises(ModelError, match=words):
        train("erm", data, model=small, seed=0, params=TrainParams(**SHORT, trainer=HERE + path))


def test_settings_without_a_trainer_are_those_of_before() -> None:
    assert "trainer" not in TrainParams().model_dump(mode="json"), "the keys of stored runs hang on it"
    assert TrainParams.model_validate(TrainParams(trainer="a:b").model_dump()).trainer == "a:b"
