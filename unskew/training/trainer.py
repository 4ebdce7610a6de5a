"""`train`: one method, one seed, one model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unskew.data.examples import Data, SplitArrays
from unskew.errors import SettingsError
from unskew.evaluation import Predictions
from unskew.schemas.enums import DataKind, Method
from unskew.schemas.params import ModelSpec, TrainParams, TuningParams
from unskew.training.inputs import InputSource
from unskew.training.loop import Metrics
from unskew.training.methods import run_method
from unskew.training.recipes import Rows, kept_rows, recipe, refuse_forbidden_labels
from unskew.training.runs import Curves, Groups, Runs
from unskew.training.share import Share

TRAINING_VERSION = 1  # rises with every change that changes all results: part of the key of a stored run


@dataclass
class TrainResult:
    """One trained model and what it says.

    Attributes:
        state: state dict on the CPU.
        curves: (epoch, name, value); epochs as in ERM, fractional where a method trains longer or several times.
        n_train: different rows trained on.
        seconds: time in the loop, over all restarts.
        setting: what the method chose on validation, for a person; "" where there was nothing to choose.
    """

    state: dict[str, torch.Tensor]
    validation: Predictions
    test: Predictions | None
    curves: Curves
    n_train: int
    seconds: float
    setting: str = ""


def train(
    method: Method | str,
    data: Data,
    *,
    model: ModelSpec,
    seed: int,
    keep: NDArray[np.int64] | None = None,
    params: TrainParams | None = None,
    tuning: TuningParams | None = None,
    train_groups: Groups | None = None,
    validation_groups: Groups | None = None,
    groups_per_class: int | None = None,
    discovered: bool = False,
    base: Mapping[str, torch.Tensor] | None = None,
    on_epoch: Callable[[float, Metrics], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    state_path: Path | None = None,
    device: str = "cpu",
    share: Share | None = None,
) -> TrainResult:
    """Train one model by one method.

    The result depends on the arguments alone (on one machine and number of threads); the global random state is left
    as it was. The recipe sees inputs, labels and the groups given here; attributes of `data` are taken away first.

    Args:
        keep: int64 positions of the training rows to use, any order; needed by pruning methods, allowed for all.
        tuning: what competes within the method.
        train_groups: int64 (n_train,), label-major, -1 = in no group; only for methods that read them.
        validation_groups: int64 (n_validation,); only for methods that read them. Methods that choose (settings, the
            epoch to stop at) do so by the worst of these groups, without them by the worst class.
        groups_per_class: of the numbering; lisa needs it to tell attributes apart.
        discovered: the groups were made by discovery; the auto_* methods read such groups and no others.
        base: state dict of the ERM model of this seed, rows and settings, for methods that start from it (dfr, refit):
            it is not trained again.
        on_epoch: called with (epochs done, metrics): train_loss and validation_loss [nats], validation_accuracy,
            worst_class_accuracy. Epochs run from 0 to `params.epochs` whatever the method does inside.
        should_stop: asked before every batch.
        state_path: file that the run keeps its state in, at the end of an epoch, every second or as seldom as makes it
            5 % of the time. A call with the same arguments goes on from there, and ends with the same bits. Removed at
            the end.
        share: which process of several this is: all call with the same arguments, and get the same result.
    Raises:
        SettingsError: labels that the method may not read or that it lacks; missing or impossible rows.
        ModelError: the model cannot be built, training diverged, or it has no last layer to refit.
        Stopped: should_stop() said so; the saved state stays.
    """
    chosen, params = recipe(method), params or TrainParams()
    refuse_forbidden_labels(chosen, train_groups, validation_groups, discovered=discovered)
    if chosen.kind == "lisa" and groups_per_class is None:
        raise SettingsError("lisa needs to know how many groups a class has.", fix="Pass groups_per_class.")
    if chosen.kind == "lisa" and data.shape.kind is DataKind.TEXT:
        raise SettingsError("lisa mixes inputs, and words cannot be mixed.", fix="Leave lisa out for texts.")
    _check_lengths(data, train_groups, validation_groups)
    rows = Rows(kept_rows(chosen, keep, len(data.train)), data.train.label, train_groups, seed)
    runs = Runs(
        _without_attributes(data),
        model,
        seed,
        params,
        tuning or TuningParams(),
        torch.device(device),
        train_groups,
        validation_groups,
        groups_per_class,
        on_epoch,
        should_stop,
        state_path,
        share or Share(),
    )
    cuda = [runs.device] if runs.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), torch.backends.cudnn.flags(benchmark=False, deterministic=True):
        found = run_method(chosen, rows, runs, base)
        trained = runs.model(found.state)
        validation = runs.predict(trained, runs.validation_inputs, data.validation)
        test = (
            None if data.test is None else runs.predict(trained, InputSource(data.test.inputs, runs.device), data.test)
        )
    runs.forget()
    return TrainResult(found.state, validation, test, found.curves, found.n_train, runs.seconds, found.setting)


def _without_attributes(data: Data) -> Data:
    """The data as a recipe may see them: what an attribute says, it can only learn through the groups it is given."""

    def bare(split: SplitArrays) -> SplitArrays:
        return replace(split, attributes={})

    return replace(
        data,
        train=bare(data.train),
        validation=bare(data.validation),
        test=None if data.test is None else bare(data.test),
    )


def _check_lengths(data: Data, train_groups: Groups | None, validation_groups: Groups | None) -> None:
    for name, groups, split in (
        ("training", train_groups, data.train),
        ("validation", validation_groups, data.validation),
    ):
        if groups is not None and len(groups) != len(split):
            raise SettingsError(
                f"There are {len(groups)} {name} groups for {len(split)} rows.",
                fix="Give one a row; -1 = in no group.",
            )
