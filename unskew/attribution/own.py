"""Scores by a function of a user's own, in place of our engines: what it is given, and what it must return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.engine import Attribution
from unskew.attribution.passes import Batch, Split, evaluation_mode
from unskew.errors import DataError
from unskew.plugins import call

State = Mapping[str, torch.Tensor]
_BATCH = 256


class Scoring:
    """One attribution for an engine of one's own: a function that is called with this and returns τ.

        def scores(run):
            tau = np.zeros((run.n_train, run.n_targets), dtype=np.float32)
            for model in run.checkpoints():
                for batch in run.batches("train"):  # batch.x as the model takes it, batch.label, batch.start
                    ...
            return tau

    τ is float (n_train, n_targets), + = the training example helps the target.

    Attributes:
        seed: for whatever it draws.
    """

    def __init__(
        self,
        model: nn.Module,
        states: Sequence[State],
        train: Split,
        targets: Split,
        *,
        device: torch.device,
        seed: int = 0,
        on_step: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.device, self.seed = device, seed
        self._model, self._states, self._on_step, self._should_stop = model, states, on_step, should_stop
        self._splits = {"train": train, "targets": targets}
        self._done = 0

    @property
    def n_train(self) -> int:
        return len(self._splits["train"])

    @property
    def n_targets(self) -> int:
        return len(self._splits["targets"])

    @property
    def n_checkpoints(self) -> int:
        return len(self._states)

    def checkpoints(self) -> Iterator[nn.Module]:
        """The model with the weights of each checkpoint in turn, in evaluation mode, on the device."""
        for state in self._states:
            self._model.load_state_dict(state)
            yield self._model

    def batches(self, split: Literal["train", "targets"], size: int = _BATCH) -> Iterator[Batch]:
        """A split in its order; tells the progress, on the scale of one pass of both splits a checkpoint.

        Raises:
            Stopped: somebody cancelled.
        """
        for batch in self._splits[split].batches(size, None, None, self._should_stop):
            yield batch
            self._done += len(batch)
            total = self.n_checkpoints * (self.n_train + self.n_targets)
            if self._on_step is not None:
                self._on_step(min(self._done, total), total)


def attribute_own(
    path: str,
    model: nn.Module,
    states: Sequence[State],
    train: tuple[Any, NDArray[np.int64]],
    targets: tuple[Any, NDArray[np.int64]],
    *,
    device: str | torch.device = "cpu",
    seed: int = 0,
    preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Attribution:
    """Score with the function that a path names.

    Args:
        model: takes preprocessed batches; its weights are replaced.
        train, targets: (inputs as stored, label).
        on_step: called with (rows done, rows × checkpoints).
    Raises:
        SettingsError: there is no such function, or it failed.
        DataError: what it returned is not a finite matrix (n_train, n_targets).
        Stopped: should_stop() said so.
    """
    place = torch.device(device)
    splits = [Split(inputs, label, preprocess, place) for inputs, label in (train, targets)]
    run = Scoring(model, states, *splits, device=place, seed=seed, on_step=on_step, should_stop=should_stop)
    with evaluation_mode(model, place):
        made = call(path, "engine", run)
    tau = made.detach().cpu().numpy() if isinstance(made, torch.Tensor) else np.asarray(made)
    if tau.shape != (run.n_train, run.n_targets):
        raise DataError(
            f"The engine {path!r} returned shape {tau.shape}, not {(run.n_train, run.n_targets)}.",
            fix="Return one row a training example, one column a target.",
        )
    return Attribution.from_matrix(
        tau,
        diagnostics={
            "engine": path,
            "n_checkpoints": len(states),
            "projection_dim": [0] * len(states),
            "unit": "none: as the engine makes them",
        },
    )
