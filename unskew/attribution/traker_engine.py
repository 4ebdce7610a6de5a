"""`traker` (Park et al. 2023, the authors' own package) as an engine: same checkpoints in, same `Attribution` out.

It projects whole per-example gradients, with its CUDA kernel where `fast_jl` is installed, else on the CPU, where it
draws the random matrix anew for every batch: for small models, and to compare with. Guarded here:

    λ = 0 by default, absolute, and silent garbage when the projection is wide   → λ relative to the mean diagonal
    float16 sums that overflow on a CPU                                          → float32 throughout
    a device that is not the string "cpu" takes the CUDA branch and dies last     → strings only
    one checkpoint with at most 100 projections on a CPU loses its matrix         → at least 101
    a checkpoint left unfinished is skipped with a warning                        → an error

Its K is divided by its mean magnitude for each checkpoint, so its scores are in no unit: only ranks compare.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.engine import Attribution
from unskew.attribution.passes import Split
from unskew.errors import ModelError, SettingsError, Stopped
from unskew.schemas.enums import Engine

LEAST_ON_CPU = 101  # its projector works in blocks of 100, and loses the matrix when there is only one
BATCH = 64
EXPERIMENT = "targets"

State = Mapping[str, torch.Tensor]


def attribute_traker(
    model: nn.Module,
    states: Sequence[State],
    train: tuple[Any, NDArray[np.int64]],
    targets: tuple[Any, NDArray[np.int64]],
    *,
    folder: Path,
    proj_dim: int = 2048,
    damping: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Attribution:
    """Score with `traker`.

    Args:
        model: takes preprocessed batches; its weights are replaced.
        train, targets: (inputs as stored, label).
        folder: where `traker` keeps its memory-mapped files; featurized rows are not done again after a kill.
        proj_dim: numbers an example and checkpoint.
        damping: λ, times the mean of the diagonal of ΦᵀΦ; 0 is `traker`'s own default.
        on_step: called with (rows done, rows × checkpoints).
    Raises:
        SettingsError: a projection so wide that λ = 0 has no inverse, or too narrow for `traker` on a CPU.
        Stopped: should_stop() said so.
    """
    _check(proj_dim, damping, len(train[1]), device)
    traker = make(model, len(train[1]), folder=folder, proj_dim=proj_dim, damping=damping, seed=seed, device=device)
    featurize(traker, states, train, targets, device=device, on_step=on_step, should_stop=should_stop)
    with _quiet():
        tau = np.asarray(traker.finalize_scores(exp_name=EXPERIMENT), dtype=np.float32)
    return Attribution.from_matrix(
        tau,
        diagnostics={
            "engine": Engine.TRAKER.value,
            "n_checkpoints": len(states),
            "projection_dim": [proj_dim] * len(states),
            "damping_relative": damping,
            "projector": type(traker.projector).__name__,
            "unit": "none: traker scales each checkpoint by the mean magnitude of its inverse",
        },
    )


def _check(proj_dim: int, damping: float, n_train: int, device: str) -> None:
    if damping == 0 and proj_dim >= n_train:
        raise SettingsError(
            f"{proj_dim} projections of {n_train} training examples have no inverse without damping.",
            fix="Give a damping above 0, or fewer projections.",
        )
    if device == "cpu" and proj_dim < LEAST_ON_CPU:
        raise SettingsError(
            f"traker cannot project to {proj_dim} on a CPU.", fix=f"Use {LEAST_ON_CPU} projections or more."
        )


def make(model: nn.Module, n_train: int, *, folder: Path, proj_dim: int, damping: float, seed: int, device: str) -> Any:
    """A `TRAKer` with our guards; its files lie in `folder`."""
    from trak import TRAKer
    from trak.score_computers import BasicScoreComputer

    class RelativeDamping(BasicScoreComputer):  # type: ignore[misc]
        """λ times the mean diagonal, for each checkpoint its own."""

        def get_x_xtx_inv(self, grads: torch.Tensor, xtx: torch.Tensor) -> Any:
            self.lambda_reg = damping * float(xtx.diagonal().mean())
            return super().get_x_xtx_inv(grads, xtx)

    return TRAKer(
        model=model,
        task="image_classification",  # margins of logits; any one input tensor will do
        train_set_size=n_train,
        save_dir=str(folder),
        device=device,
        score_computer=RelativeDamping,
        proj_dim=proj_dim,
        use_half_precision=False,
        projector_seed=seed,
        logging_level=logging.ERROR,
    )


def featurize(
    traker: Any,
    states: Sequence[State],
    train: tuple[Any, NDArray[np.int64]],
    targets: tuple[Any, NDArray[np.int64]],
    *,
    device: str,
    batch_size: int = BATCH,
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> None:
    """Let it pass every training row, then every target, through every checkpoint, scoring inside that loop.

    Raises:
        ModelError: it left a checkpoint unfinished, which it would skip.
        Stopped: should_stop() said so.
    """
    splits = [Split(inputs, label, None, torch.device(device)) for inputs, label in (train, targets)]
    total, done = len(states) * sum(len(split) for split in splits), 0
    held = [{name: value.to(device) for name, value in state.items()} for state in states]
    for is_target, split in enumerate(splits):
        if is_target:
            with _quiet():
                traker.finalize_features()
            _all_finished(traker, len(states))
        for number, state in enumerate(held):
            if is_target:
                traker.start_scoring_checkpoint(EXPERIMENT, state, number, num_targets=len(split))
            else:
                traker.load_checkpoint(state, model_id=number)
            for start in range(0, len(split), batch_size):
                if should_stop is not None and should_stop():
                    raise Stopped
                stop = min(start + batch_size, len(split))
                part = split.rows(start, stop)
                call = traker.score if is_target else traker.featurize
                call(batch=(part.x, part.label), inds=np.arange(start, stop))
                done += stop - start
                if on_step is not None:
                    on_step(done, total)


def _all_finished(traker: Any, n_checkpoints: int) -> None:
    unfinished = [n for n in range(n_checkpoints) if not traker.saver.model_ids[n]["is_finalized"]]
    if unfinished:
        raise ModelError(
            f"traker did not finish the features of checkpoints {unfinished}.",
            fix="Delete its folder and run it again.",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without its progress bars."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield
