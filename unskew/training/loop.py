"""The one training loop: fixed rows, fixed length, resumable at the end of an epoch; it may keep its best epoch.

All randomness follows from (seed, epoch): the order of the rows and whatever the layers draw. So a run that was killed
and goes on from its last saved epoch ends with the same bits as one that was not. Several processes may share a run
(`share`); what they add up differs from one process's sum in the last bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.errors import ModelError, Stopped
from unskew.memory import ERRORS, ran_out
from unskew.models import preprocess
from unskew.models.checkpoints import load_progress, save_progress
from unskew.schemas.params import TrainParams
from unskew.training.inputs import InputSource
from unskew.training.objectives import CrossEntropy, Objective
from unskew.training.own import run_own
from unskew.training.share import Share

_SAVE_EVERY = 1.0  # seconds between two saved states, at least
_SAVE_SHARE = 0.05  # of the time that saving may take
_SHORTEST_CYCLE = 10  # steps; with fewer the one-cycle schedule has no rising phase, and at 5 it divides by zero

Metrics = dict[str, float]
Score = tuple[float, float]  # higher is better; the second breaks ties


@dataclass
class Best:
    """The epoch that a run stops at: the best of those that were evaluated, the earlier one on a tie."""

    epoch: int
    score: Score
    state: dict[str, torch.Tensor]


@dataclass
class Fit:
    """One run of fixed length over fixed rows.

    Attributes:
        identity: says which run a saved state belongs to; a state of another run is not used.
        evaluate: called with the model every `evaluate_every` epochs and after the last one; with a score, `model` ends
            as it was at the epoch with the best one.
        chance: float64 (len(index),): rows are drawn with replacement; None = each once an epoch.
        on_epoch: called with (epochs done, metrics) at the same times.
        should_stop: asked before every batch.
    """

    model: nn.Module
    inputs: InputSource
    label: NDArray[np.int64]
    index: NDArray[np.int64]
    epochs: int
    seed: int
    params: TrainParams
    device: torch.device
    identity: str
    evaluate: Callable[[nn.Module], tuple[Metrics, Score | None]]
    evaluate_every: int = 1
    objective: Objective = field(default_factory=CrossEntropy)
    chance: NDArray[np.float64] | None = None
    on_epoch: Callable[[int, Metrics], None] | None = None
    should_stop: Callable[[], bool] | None = None
    state_path: Path | None = None
    curves: list[tuple[int, Metrics]] = field(default_factory=list)
    seconds: float = 0.0
    best: Best | None = None
    share: Share = field(default_factory=Share)
    parts: int = 1  # that a batch goes through the model in; more than one since memory ran out

    def run(self) -> None:
        """Train `model` in place; `curves`, `seconds` and `best` hold the whole run, also what was before a restart.

        Raises:
            ModelError: the loss is no longer finite.
            Stopped: should_stop() said so.
        """
        self.model.to(self.device).train()
        if self.params.trainer is not None:
            run_own(self, self.params.trainer)
        else:
            self._run()
        if self.best is not None:
            self.model.load_state_dict(self.best.state)

    def _run(self) -> None:
        batches = self.bounds()
        optimizer, schedule = _optimizer(self.model, self.params, steps=self.epochs * len(batches))
        first = self._resume(optimizer, schedule)
        target = torch.from_numpy(np.array(self.label, dtype=np.int64)).to(self.device)
        began, before = time.monotonic(), self.seconds
        save_at = began + _SAVE_EVERY
        for epoch in range(first, self.epochs):
            loss = self._epoch(epoch, batches, target, optimizer, schedule)
            done = epoch + 1
            self.share.average(self.model.buffers())
            if done % self.evaluate_every == 0 or done == self.epochs:
                self.measure(done, {"train_loss": loss})
            self.seconds = before + time.monotonic() - began
            started = time.monotonic()
            if self.state_path is not None and self.share.first and (started >= save_at or done == self.epochs):
                self._save(done, optimizer, schedule)
                ended = time.monotonic()
                save_at = ended + max(_SAVE_EVERY, (ended - started) / _SAVE_SHARE)

    def bounds(self) -> list[tuple[int, int]]:
        """(start, end) of each batch of an epoch."""
        return batch_bounds(len(self.index), self.params.batch_size)

    def measure(self, done: int, metrics: Metrics) -> None:
        """Judge the model as it is after `done` epochs, note it beside `metrics`, and keep it where it is the best."""
        measured, score = self.evaluate(self.model)
        metrics = {**metrics, **measured}
        self.curves.append((done, metrics))
        self._keep_best(done, score)
        if self.on_epoch is not None:
            self.on_epoch(done, metrics)

    def _keep_best(self, epoch: int, score: Score | None) -> None:
        if score is not None and (self.best is None or score > self.best.score):
            state = {k: v.detach().to("cpu", copy=True) for k, v in self.model.state_dict().items()}
            self.best = Best(epoch, score, state)

    def _epoch(
        self,
        epoch: int,
        batches: list[tuple[int, int]],
        target: torch.Tensor,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> float:
        order = self.order(epoch)
        total = torch.zeros((), device=self.device)
        for start, end in batches:
            self.stop_if_asked()
            rows = order[start:end]
            label = target[torch.from_numpy(rows).to(self.device)]
            total += self._backward(rows, label, optimizer) * len(rows)
            optimizer.step()
            schedule.step()
        return self.finite(float(total) / len(order), epoch)

    def finite(self, loss: float, epoch: int) -> float:
        """The mean loss of an epoch.

        Raises:
            ModelError: it is no longer a number.
        """
        if not np.isfinite(loss):
            raise ModelError(
                f"Training diverged in epoch {epoch + 1}: the loss is {loss}.",
                fix=f"Lower the learning rate (now {self.params.learning_rate:g}), or mend the model.",
            )
        return loss

    def stop_if_asked(self) -> None:
        """Raises:
        Stopped: should_stop() said so, in any process.
        """
        if self.share.any(self.should_stop is not None and self.should_stop(), self.device):
            raise Stopped

    def _backward(self, rows: NDArray[np.int64], label: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """A batch's loss, its gradient being in place; where memory runs out, in parts that are added up.

        The parts of a batch are not learned from one after another: but for layers that look at the whole batch (batch
        norm), the step is that of the whole batch.

        Raises:
            ModelError: not even single rows fit, or the objective is of whole batches.
        """
        while True:
            try:
                return self._in_parts(rows, label, optimizer)
            except ERRORS as error:
                if not ran_out(error):
                    raise
                if not self.objective.adds_up or 2 * self.parts > len(rows):
                    raise ModelError(
                        f"Memory ran out in training, with {-(-len(rows) // self.parts)} rows at a time.",
                        fix=f"Use a batch smaller than {self.params.batch_size}, smaller inputs or a smaller model, "
                        "or a device with more memory.",
                    ) from error
            self.parts *= 2

    def _in_parts(self, rows: NDArray[np.int64], label: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        alone = not self.objective.adds_up or len(rows) < 2 * self.share.world  # then every process does all of it
        share = Share() if alone else self.share
        mine = share.of(len(rows))
        for part in np.array_split(mine, min(self.parts, len(mine))):
            inputs = preprocess(self.inputs.batch(rows[part]))
            loss = self.objective.loss(self.model, inputs, label[part[0] : part[-1] + 1], rows[part])
            loss = loss * (len(part) / len(rows))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        share.add_up([total, *gradients])
        return total

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Rows of an epoch in their order, int64 (len(index),); what layers draw in it follows from the seed too."""
        torch.manual_seed(epoch_seed(self.seed, epoch))  # the caller has forked the random state
        rng, n = np.random.default_rng([self.seed % 2**63, epoch]), len(self.index)
        return self.index[rng.permutation(n) if self.chance is None else rng.choice(n, n, p=self.chance)]

    def _save(
        self, done: int, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
    ) -> None:
        assert self.state_path is not None
        progress: dict[str, Any] = {
            "identity": self.identity,
            "epochs_done": done,
            "model": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "objective": self.objective.state(),
            "curves": self.curves,
            "seconds": self.seconds,
            "parts": self.parts,
            "best": None if self.best is None else [self.best.epoch, list(self.best.score), self.best.state],
        }
        save_progress(self.state_path, progress)

    def _resume(self, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> int:
        """Load the saved state of this very run, if there is one; returns the epochs already done."""
        progress = load_progress(self.state_path) if self.state_path is not None else None
        if progress is None or progress.get("identity") != self.identity:
            return 0
        self.model.load_state_dict(progress["model"])
        optimizer.load_state_dict(progress["optimizer"])
        schedule.load_state_dict(progress["schedule"])
        self.objective.load(progress["objective"])
        if progress["best"] is not None:
            epoch, score, state = progress["best"]
            self.best = Best(int(epoch), (float(score[0]), float(score[1])), state)
        self.curves = [(int(done), dict(metrics)) for done, metrics in progress["curves"]]
        self.seconds = float(progress["seconds"])
        self.parts = int(progress.get("parts", 1))
        return int(progress["epochs_done"])


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for torch that is far from those of neighbouring runs and epochs."""
    return int(np.random.SeedSequence([seed % 2**63, epoch]).generate_state(1, np.uint64)[0] >> 1)


def batch_bounds(n: int, batch_size: int) -> list[tuple[int, int]]:
    """(start, end) of each batch of n rows. A single row left over joins the batch before: batch norm needs two."""
    starts = list(range(0, n, batch_size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def _optimizer(
    model: nn.Module, params: TrainParams, *, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise ModelError(
            "The model has no trainable parameter.", fix="Leave requires_grad on for what should be trained."
        )
    rate, decay = params.learning_rate, params.weight_decay
    optimizer: torch.optim.Optimizer
    if params.optimizer == "adamw":
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
    elif params.optimizer == "adam":
        optimizer = torch.optim.Adam(weights, lr=rate, weight_decay=decay)
    else:
        optimizer = torch.optim.SGD(weights, lr=rate, weight_decay=decay, momentum=0.9)
    if params.schedule == "constant":
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    total = max(steps, _SHORTEST_CYCLE)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=total, pct_start=0.2)
