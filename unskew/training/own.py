"""A training loop of a user's own in place of ours: what it is given, and what it must do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.errors import ModelError
from unskew.models import preprocess
from unskew.plugins import call
from unskew.schemas.params import TrainParams

if TYPE_CHECKING:
    from unskew.training.loop import Fit


@dataclass(frozen=True)
class Batch:
    """Some rows of training.

    Attributes:
        inputs: preprocessed, as the model takes them; on the device.
        label: int64 (n,), on the device.
        rows: int64 (n,), positions in the training split.
    """

    inputs: torch.Tensor
    label: torch.Tensor
    rows: NDArray[np.int64]


class Training:
    """One run for a trainer of one's own: a function that is called with this and trains `model` in place.

        def train(run):
            optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)
            for epoch in run.epochs():
                for batch in run.batches(epoch):
                    optimizer.zero_grad()
                    run.loss(batch).backward()
                    optimizer.step()

    Which rows, in what order, for how long and by what loss is the method's own; how the model learns is the trainer's.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._target = torch.from_numpy(np.array(fit.label, dtype=np.int64)).to(fit.device)
        self._bounds = fit.bounds()
        self._total, self._seen = torch.zeros((), device=fit.device), 0
        self._began = time.monotonic()
        self.done = 0  # epochs

    @property
    def model(self) -> nn.Module:
        """On the device, in training mode, with its first weights, which follow from the seed."""
        return self._fit.model

    @property
    def params(self) -> TrainParams:
        return self._fit.params

    @property
    def seed(self) -> int:
        return self._fit.seed

    @property
    def device(self) -> torch.device:
        return self._fit.device

    @property
    def n_epochs(self) -> int:
        """As many as the method wants; some train shorter than `params.epochs`."""
        return self._fit.epochs

    @property
    def n_batches(self) -> int:
        """Of one epoch."""
        return len(self._bounds)

    def epochs(self) -> Iterator[int]:
        """0, 1, …; between two, the model is judged on validation and the progress is told.

        Raises:
            ModelError: the mean of what `loss` gave is no longer finite.
        """
        while self.done < self.n_epochs:
            self.model.train()
            self._total.zero_()
            self._seen = 0
            yield self.done
            self.done += 1
            if self.done % self._fit.evaluate_every == 0 or self.done == self.n_epochs:
                self._measure()

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The rows of an epoch in their order, which follows from seed and epoch; methods draw some more often.

        Raises:
            Stopped: somebody cancelled.
        """
        order = self._fit.order(epoch)
        for start, end in self._bounds:
            self._fit.stop_if_asked()
            rows = order[start:end]
            label = self._target[torch.from_numpy(rows).to(self.device)]
            yield Batch(preprocess(self._fit.inputs.batch(rows)), label, rows)

    def loss(self, batch: Batch, inputs: torch.Tensor | None = None) -> torch.Tensor:
        """The method's loss of a batch, a scalar to differentiate.

        Args:
            inputs: what the model is to see in place of the batch's own: augmented, say.
        """
        given = batch.inputs if inputs is None else inputs
        loss = self._fit.objective.loss(self.model, given, batch.label, batch.rows)
        self._total += loss.detach() * len(batch.rows)
        self._seen += len(batch.rows)
        return loss

    def _measure(self) -> None:
        seen = {"train_loss": self._fit.finite(float(self._total) / self._seen, self.done - 1)} if self._seen else {}
        self._fit.measure(self.done, seen)

    def end(self) -> None:
        """After the trainer: what ended before its last epoch is judged as it is."""
        if self.done < self.n_epochs:
            self.done = self.n_epochs
            self._measure()
        self._fit.seconds = time.monotonic() - self._began
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise ModelError("The trainer left weights that are not finite.", fix="Lower its learning rate.")


def run_own(fit: Fit, path: str) -> None:
    """Train by the function that a path names. A run that was killed begins anew: its optimizer is not ours to keep.

    Raises:
        ModelError: there is no such function, it failed, or it left weights that are not finite.
        Stopped: somebody cancelled.
    """
    run = Training(fit)
    call(path, "trainer", run, error=ModelError)
    run.end()
