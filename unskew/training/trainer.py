"""`train`: one method, one seed, one model out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.data.examples import Data, SplitArrays
from unskew.errors import SettingsError
from unskew.evaluation import Predictions, group_metrics
from unskew.models import build
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec, TrainParams
from unskew.training.inputs import InputSource
from unskew.training.loop import Fit, Metrics
from unskew.training.predict import predict
from unskew.training.recipes import Plan, plan, recipe, refuse_forbidden_labels

TRAINING_VERSION = 1  # rises with every change that changes results: part of the key of a stored run

Groups = NDArray[np.int64]


@dataclass
class TrainResult:
    """One trained model and what it says.

    Attributes:
        state: state dict on the CPU.
        curves: (epoch, name, value); epochs as in ERM, fractional where a method trains longer or several times.
        n_train: rows trained on.
        seconds: time in the loop, over all restarts.
    """

    state: dict[str, torch.Tensor]
    validation: Predictions
    test: Predictions | None
    curves: list[tuple[float, str, float]]
    n_train: int
    seconds: float


def train(
    method: Method | str,
    data: Data,
    *,
    model: ModelSpec,
    seed: int,
    keep: NDArray[np.int64] | None = None,
    params: TrainParams | None = None,
    train_groups: Groups | None = None,
    validation_groups: Groups | None = None,
    on_epoch: Callable[[float, Metrics], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    state_path: Path | None = None,
    device: str = "cpu",
) -> TrainResult:
    """Train one model by one method.

    The result depends on the arguments alone (on one machine and number of threads); the global random state is left
    as it was.

    Args:
        keep: int64 positions of the training rows to use, any order; needed by pruning methods, allowed for all.
        train_groups: int64 (n_train,), -1 = in no group; only for methods that read them.
        validation_groups: int64 (n_validation,); only for methods that read them. With them, subsampling methods
            choose among three lengths by worst-group accuracy.
        on_epoch: called with (epochs done, metrics): train_loss and validation_loss [nats], validation_accuracy,
            worst_class_accuracy. Epochs run from 0 to `params.epochs` whatever the method does inside.
        should_stop: asked before every batch.
        state_path: file that the run keeps its state in, at most every 10 seconds and at the end of an epoch. A call
            with the same arguments goes on from there, and ends with the same bits. Removed at the end.
    Raises:
        SettingsError: labels that the method may not read; missing or impossible rows.
        ModelError: the model cannot be built, or training diverged.
        Stopped: should_stop() said so; the saved state stays.
    """
    chosen, params = recipe(method), params or TrainParams()
    refuse_forbidden_labels(chosen, train_groups, validation_groups)
    todo = plan(
        chosen,
        n_train=len(data.train),
        epochs=params.epochs,
        batch_size=params.batch_size,
        seed=seed,
        keep=keep,
        train_groups=train_groups,
        tunes=validation_groups is not None,
    )
    if validation_groups is not None and len(validation_groups) != len(data.validation):
        raise SettingsError(
            f"There are {len(validation_groups)} validation groups for {len(data.validation)} rows.",
            fix="Give one a row; -1 = in no group.",
        )
    run = _Run(data, model, seed, params, todo, torch.device(device), on_epoch, should_stop, state_path)
    cuda = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), torch.backends.cudnn.flags(benchmark=False, deterministic=True):
        return run.best(validation_groups)


@dataclass
class _Run:
    data: Data
    spec: ModelSpec
    seed: int
    params: TrainParams
    todo: Plan
    device: torch.device
    on_epoch: Callable[[float, Metrics], None] | None
    should_stop: Callable[[], bool] | None
    state_path: Path | None

    def best(self, validation_groups: Groups | None) -> TrainResult:
        """Train every length of the plan; the best on validation wins, the shorter one on a tie."""
        inputs = InputSource(self.data.train.inputs, self.device)
        validation = InputSource(self.data.validation.inputs, self.device)
        results: list[tuple[tuple[float, float], TrainResult]] = []
        for number in range(len(self.todo.epochs)):
            fit = self._fit(number, inputs, validation)
            fit.run()
            result = self._result(fit, number, validation)
            score = (0.0, 0.0)
            if validation_groups is not None and len(self.todo.epochs) > 1:
                found = group_metrics(
                    result.validation.prediction,
                    self.data.validation.label,
                    validation_groups,
                    int(validation_groups.max()) + 1,
                )
                score = (found.worst_group_accuracy, found.balanced_accuracy)
            results.append((score, result))
        best = max(results, key=lambda pair: pair[0])[1]  # max keeps the first of equals
        if self.data.test is not None:
            best = replace(best, test=self._test(best.state))
        for number in range(len(self.todo.epochs)):
            path = self._path(number)
            if path is not None:
                path.unlink(missing_ok=True)
        return replace(best, seconds=sum(result.seconds for _, result in results))

    def _fit(self, number: int, inputs: InputSource, validation: InputSource) -> Fit:
        epochs = self.todo.epochs[number]

        def report(done: int, metrics: Metrics) -> None:
            if self.on_epoch is not None:
                self.on_epoch(self._as_erm(number, done), metrics)

        return Fit(
            model=self._model(),
            inputs=inputs,
            label=self.data.train.label,
            index=self.todo.index,
            epochs=epochs,
            seed=self.seed,
            params=self.params,
            device=self.device,
            identity=self._identity(epochs),
            evaluate=lambda model: _validation_metrics(
                self._predict(model, validation, self.data.validation), self.data
            ),
            evaluate_every=max(1, round(epochs / self.params.epochs)),
            on_epoch=report,
            should_stop=self.should_stop,
            state_path=self._path(number),
        )

    def _result(self, fit: Fit, number: int, validation: InputSource) -> TrainResult:
        return TrainResult(
            state={k: v.detach().to("cpu", copy=True) for k, v in fit.model.state_dict().items()},
            validation=self._predict(fit.model, validation, self.data.validation),
            test=None,
            curves=[(self._as_erm(number, done), name, v) for done, found in fit.curves for name, v in found.items()],
            n_train=len(self.todo.index),
            seconds=fit.seconds,
        )

    def _as_erm(self, number: int, done: int) -> float:
        """Epochs done over all lengths, on the scale 0 … params.epochs."""
        before = sum(self.todo.epochs[:number])
        return self.params.epochs * (before + done) / sum(self.todo.epochs)

    def _model(self) -> nn.Module:
        return build(self.spec, n_classes=len(self.data.class_names), shape=self.data.shape, seed=self.seed)

    def _predict(self, model: nn.Module, inputs: InputSource, split: SplitArrays) -> Predictions:
        return predict(model, inputs, split.label, device=self.device, should_stop=self.should_stop)

    def _test(self, state: dict[str, torch.Tensor]) -> Predictions:
        assert self.data.test is not None
        model = self._model()
        model.load_state_dict(state)
        return self._predict(model.to(self.device), InputSource(self.data.test.inputs, self.device), self.data.test)

    def _path(self, number: int) -> Path | None:
        if self.state_path is None:
            return None
        return self.state_path.with_name(f"{self.state_path.name}.{number}")

    def _identity(self, epochs: int) -> str:
        """A saved state is used only by the run that wrote it: same rows, labels, model, settings, versions."""
        settings = {
            "version": TRAINING_VERSION,
            "torch": torch.__version__,
            "device": self.device.type,
            "model": self.spec.model_dump(mode="json"),
            "params": self.params.model_dump(mode="json"),
            "seed": self.seed,
            "epochs": epochs,
            "classes": self.data.class_names,
            "shape": self.data.train.inputs.shape,
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.todo.index).tobytes())
        digest.update(np.ascontiguousarray(self.data.train.label, dtype=np.int64).tobytes())
        return digest.hexdigest()


def _validation_metrics(predictions: Predictions, data: Data) -> Metrics:
    label = data.validation.label
    found = group_metrics(predictions.prediction, label, label, len(data.class_names))
    return {
        "validation_loss": float(predictions.loss.mean(dtype=np.float64)),
        "validation_accuracy": found.average_accuracy,
        "worst_class_accuracy": found.worst_group_accuracy,
    }
