"""The trainings of one method: numbered, resumable, on one scale of progress, judged alike on validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.data.examples import Data, SplitArrays
from unskew.evaluation import Predictions, group_metrics
from unskew.models import build
from unskew.schemas.params import ModelSpec, TrainParams, TuningParams
from unskew.training.inputs import InputSource
from unskew.training.loop import Fit, Metrics, Score
from unskew.training.objectives import CrossEntropy, GroupDRO, Lisa, Objective
from unskew.training.predict import predict
from unskew.training.recipes import Trial
from unskew.training.share import Share

Groups = NDArray[np.int64]
Curves = list[tuple[float, str, float]]
VERSION = 2  # of what a saved state holds


@dataclass(frozen=True)
class Finished:
    """A model that a method ends with, or that competes to be it.

    Attributes:
        setting: what was chosen, for a person.
        n_train: different rows trained on.
    """

    score: Score
    state: dict[str, torch.Tensor]
    setting: str
    n_train: int
    curves: Curves


@dataclass
class Runs:
    """Trains one trial after another.

    Attributes:
        train_groups, validation_groups: int64, -1 = in none; None where the method reads none. Models are judged by the
            worst validation group, without groups by the worst class.
        groups_per_class: of the label-major numbers; needed by lisa.
        work: rows that all trials will pass through a model; sets the scale of progress.
    """

    data: Data
    spec: ModelSpec
    seed: int
    params: TrainParams
    tuning: TuningParams
    device: torch.device
    train_groups: Groups | None = None
    validation_groups: Groups | None = None
    groups_per_class: int | None = None
    on_epoch: Callable[[float, Metrics], None] | None = None
    should_stop: Callable[[], bool] | None = None
    state_path: Path | None = None
    share: Share = field(default_factory=Share)
    work: int = 1
    done: int = 0
    number: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.train_inputs = InputSource(self.data.train.inputs, self.device)
        self.validation_inputs = InputSource(self.data.validation.inputs, self.device)

    @property
    def n_classes(self) -> int:
        return len(self.data.class_names)

    def fit(self, trial: Trial, *, stops_early: bool) -> Finished:
        """Train one trial to its end or, where it stops early, back to its best epoch."""
        fit = self._fit(trial, stops_early)
        fit.run()
        curves = [(self._as_erm(trial, done), name, v) for done, found in fit.curves for name, v in found.items()]
        self.done += trial.work
        self.number += 1
        self.seconds += fit.seconds
        setting = trial.setting
        if fit.best is not None:
            setting += f", stopped at epoch {fit.best.epoch}" if fit.best.epoch < trial.epochs else ""
        if fit.parts > 1:
            setting += f"{', ' if setting else ''}batches in {fit.parts} parts because memory ran out"
        state = {k: v.detach().to("cpu", copy=True) for k, v in fit.model.state_dict().items()}
        score = fit.best.score if fit.best is not None else (0.0, 0.0)
        return Finished(score, state, setting, len(np.unique(trial.index)), curves)

    def judge(self, prediction: NDArray[np.int64]) -> Score:
        """(worst, balanced) validation accuracy, over the groups that the method may read or over the classes."""
        label = self.data.validation.label
        group, n = label, self.n_classes
        if self.validation_groups is not None:
            group, n = self.validation_groups, int(self.validation_groups.max()) + 1
        found = group_metrics(prediction, label, group, n)
        return found.worst_group_accuracy, found.balanced_accuracy

    def model(self, state: dict[str, torch.Tensor] | None = None) -> nn.Module:
        """The model with its first weights, or with those of a state; on the device."""
        made = build(self.spec, n_classes=self.n_classes, shape=self.data.shape, seed=self.seed)
        if state is not None:
            made.load_state_dict(state)
        return made.to(self.device)

    def predict(self, model: nn.Module, inputs: InputSource, split: SplitArrays) -> Predictions:
        return predict(model, inputs, split.label, device=self.device, should_stop=self.should_stop)

    def forget(self) -> None:
        """Remove the saved states: the method has ended."""
        for number in range(self.number) if self.share.first else ():
            path = self._path(number)
            if path is not None:
                path.unlink(missing_ok=True)

    def _fit(self, trial: Trial, stops_early: bool) -> Fit:
        decay = self.params.weight_decay if trial.weight_decay is None else trial.weight_decay
        params = self.params.model_copy(update={"weight_decay": decay})

        def evaluate(model: nn.Module) -> tuple[Metrics, Score | None]:
            said = self.predict(model, self.validation_inputs, self.data.validation)
            return self._metrics(said), self.judge(said.prediction) if stops_early else None

        def report(done: int, metrics: Metrics) -> None:
            if self.on_epoch is not None:
                self.on_epoch(self._as_erm(trial, done), metrics)

        return Fit(
            model=self.model(),
            inputs=self.train_inputs,
            label=self.data.train.label,
            index=trial.index,
            epochs=trial.epochs,
            seed=self.seed,
            params=params,
            device=self.device,
            identity=self._identity(trial, params, stops_early),
            evaluate=evaluate,
            evaluate_every=max(1, round(trial.epochs / self.params.epochs)),
            objective=self._objective(trial),
            chance=trial.chance,
            on_epoch=report,
            should_stop=self.should_stop,
            state_path=self._path(self.number),
            share=self.share,
        )

    def _objective(self, trial: Trial) -> Objective:
        if trial.objective == "cross_entropy":
            return CrossEntropy()
        assert self.train_groups is not None, "refuse_forbidden_labels comes first"
        if trial.objective == "group_dro":
            return GroupDRO(self.train_groups, trial.step_size, self.device)
        assert self.groups_per_class is not None, "train() asked for it"
        attribute = np.where(self.train_groups < 0, -1, self.train_groups % self.groups_per_class)
        return Lisa(attribute, self.n_classes, self.tuning.lisa_same_label, self.tuning.lisa_beta)

    def _metrics(self, predictions: Predictions) -> Metrics:
        label = self.data.validation.label
        found = group_metrics(predictions.prediction, label, label, self.n_classes)
        return {
            "validation_loss": float(predictions.loss.mean(dtype=np.float64)),
            "validation_accuracy": found.average_accuracy,
            "worst_class_accuracy": found.worst_group_accuracy,
        }

    def _as_erm(self, trial: Trial, done: int) -> float:
        """Epochs done over all trials, on the scale 0 … params.epochs."""
        return self.params.epochs * (self.done + done * len(trial.index)) / self.work

    def _path(self, number: int) -> Path | None:
        return None if self.state_path is None else self.state_path.with_name(f"{self.state_path.name}.{number}")

    def _identity(self, trial: Trial, params: TrainParams, stops_early: bool) -> str:
        """A saved state is used only by the run that wrote it: same rows, labels, groups, model, settings, versions."""
        settings = {
            "version": VERSION,
            "torch": torch.__version__,
            "device": self.device.type,
            "model": self.spec.model_dump(mode="json"),
            "params": params.model_dump(mode="json"),
            "seed": self.seed,
            "trial": [trial.epochs, trial.objective, trial.step_size, stops_early],
            "tuning": self.tuning.model_dump(mode="json"),
            "classes": self.data.class_names,
            "shape": self.data.train.inputs.shape,
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for array in (trial.index, trial.chance, self.data.train.label, self.train_groups, self.validation_groups):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
