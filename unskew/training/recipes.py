"""Recipes: which rows a method trains on, how often, by what loss, for how long, and which group labels it may read.

erm, prune  all rows, or those that pruning left
subsample   as many rows of every group (or class), chosen once for the whole run (Idrissi et al. 2022: SUBG, SUBY)
resample    rows drawn with replacement, every group (or class) equally often (RWG, RWY)
group_dro   the same draws, and a loss that weighs groups by how badly they do (Sagawa et al. 2020)
lisa        mixed images (Yao et al. 2022)
jtt         the errors of a briefly trained first model, repeated (Liu et al. 2021); see `jtt_trials`
dfr, refit, afr   the last layer fitted anew; see `unskew.training.heads`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError
from unskew.pruning import balanced_kept
from unskew.schemas.enums import Method
from unskew.schemas.methods import RECIPES, Recipe
from unskew.schemas.params import TrainParams, TuningParams

__all__ = ["RECIPES", "Recipe", "Rows", "Trial", "jtt_trials", "recipe", "refuse_forbidden_labels", "trials"]

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One training run; those of a method compete on validation.

    Attributes:
        setting: what distinguishes it, for a person.
        index: int64 training positions, rising; repeated where a method repeats rows.
        epochs: passes over as many rows as `index` has.
        chance: float64 (len(index),), sums to 1: rows are drawn with replacement; None = each once an epoch.
        objective, step_size: the loss; η of group_dro.
        weight_decay: None = the run's own.
    """

    setting: str
    index: NDArray[np.int64]
    epochs: int
    chance: NDArray[np.float64] | None = None
    objective: Literal["cross_entropy", "group_dro", "lisa"] = "cross_entropy"
    step_size: float = 0.0
    weight_decay: float | None = None

    @property
    def work(self) -> int:
        """Rows that pass through the model."""
        return self.epochs * len(self.index)


@dataclass(frozen=True)
class Rows:
    """The training rows as a method sees them.

    Attributes:
        index: int64, the positions it may use, rising.
        label: int64 (n_train,).
        group: int64 (n_train,), -1 = in none; None where the method reads no training groups.
        seed: of every draw.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int64]
    group: Groups | None
    seed: int

    def balanced_by(self, chosen: Recipe) -> Groups:
        """What `subsample` and `resample` balance."""
        if chosen.by == "class":
            return self.label
        assert self.group is not None, "refuse_forbidden_labels comes first"
        return self.group


def recipe(method: Method | str) -> Recipe:
    """The recipe of a method.

    Raises:
        SettingsError: there is no such method.
    """
    try:
        return RECIPES[Method(method)]
    except ValueError:
        raise SettingsError(f"There is no method {method!r}.", fix=f"Choose one of {', '.join(Method)}.") from None


def refuse_forbidden_labels(
    chosen: Recipe, train_groups: Groups | None, validation_groups: Groups | None, *, discovered: bool = False
) -> None:
    """Stop a method from being given group labels that it claims not to read. The only door for group labels.

    Args:
        discovered: the groups were made by discovery, which reads no group label.
    Raises:
        SettingsError: labels that the recipe may not read; groups missing that it needs; no row is in a group.
    """
    given = []
    if train_groups is not None and not chosen.reads_training_groups:
        given.append("training groups")
    if validation_groups is not None and not chosen.reads_validation_groups:
        given.append("validation groups")
    if given:
        raise SettingsError(
            f"The method {chosen.method} may not read {' or '.join(given)}; it uses: {chosen.labels_used}.",
            fix="Leave them out.",
        )
    if (train_groups is not None or validation_groups is not None) and discovered != chosen.discovered:
        own, others = ("discovered", "known") if chosen.discovered else ("known", "discovered")
        raise SettingsError(f"The method {chosen.method} reads {own} groups, not {others} ones.", fix="Leave them out.")
    if chosen.reads_training_groups and train_groups is None:
        raise SettingsError(
            f"The method {chosen.method} needs the group of every training example.",
            fix="Choose an attribute that is known on training rows.",
        )
    if chosen.needs_validation_groups and validation_groups is None:
        raise SettingsError(
            f"The method {chosen.method} needs the groups of validation examples.",
            fix="Choose an attribute that is known on validation examples.",
        )
    for name, group in (("training", train_groups), ("validation", validation_groups)):
        if group is not None and not (np.asarray(group) >= 0).any():
            raise SettingsError(f"No {name} example is in a group.", fix="Choose an attribute that is known there.")


def kept_rows(chosen: Recipe, keep: NDArray[np.int64] | None, n_train: int) -> NDArray[np.int64]:
    """The positions a method may use, rising.

    Raises:
        SettingsError: `keep` is missing, empty or out of range.
    """
    if keep is None:
        if chosen.prunes:
            raise SettingsError(
                f"The method {chosen.method} trains on the rows that pruning left, and was given none.",
                fix="Pass `keep`, the positions of the training rows to keep.",
            )
        return np.arange(n_train, dtype=np.int64)
    index = np.unique(np.asarray(keep, dtype=np.int64))  # the order in which rows are named must not matter
    if index.size == 0 or index[0] < 0 or index[-1] >= n_train:
        shown = "is empty" if index.size == 0 else f"holds positions {index[0]} … {index[-1]}"
        raise SettingsError(f"`keep` {shown}.", fix=f"Need positions in 0 … {n_train - 1}.")
    return index


def trials(chosen: Recipe, rows: Rows, params: TrainParams, tuning: TuningParams) -> list[Trial]:
    """The runs that compete within a method; for the methods with a second stage, its first stage.

    Lengths are in gradient steps: 1 takes as many as ERM on all of its rows.
    """
    if chosen.kind == "subsample":
        return _subsampled(chosen, rows, params, tuning)
    if chosen.kind in ("resample", "group_dro", "lisa"):
        return _reweighted(chosen, rows, params, tuning)
    if chosen.kind == "jtt":
        first = sorted({max(1, round(share * params.epochs)) for share in tuning.jtt_first})
        return [Trial(f"first model, {epochs} epochs", rows.index, epochs) for epochs in first]
    if chosen.kind == "afr":
        order = np.random.default_rng(rows.seed).permutation(rows.index)
        first_part = np.sort(order[: max(1, round(tuning.afr_share * len(order)))])
        return [Trial("first stage", first_part, params.epochs)]
    return [Trial("", rows.index, params.epochs)]


def _subsampled(chosen: Recipe, rows: Rows, params: TrainParams, tuning: TuningParams) -> list[Trial]:
    index = rows.index[balanced_kept(rows.balanced_by(chosen)[rows.index], rows.seed)]
    full = params.epochs * _batches(len(rows.label), params) / _batches(len(index), params)
    lengths = {max(1, round(share * full)) for share in tuning.subsample_lengths}
    return [Trial(f"{epochs} epochs", index, epochs) for epochs in sorted(lengths)]


def _reweighted(chosen: Recipe, rows: Rows, params: TrainParams, tuning: TuningParams) -> list[Trial]:
    index, chance, objective = rows.index, None, "cross_entropy"
    if chosen.kind == "lisa":
        objective = "lisa"
    else:
        of = rows.balanced_by(chosen)[rows.index]
        index, of = rows.index[of >= 0], of[of >= 0]
        if not len(index):
            raise SettingsError(f"{chosen.method}: no training row that is kept is in a group.", fix="Prune less.")
        chance = 1.0 / np.bincount(of)[of]
        chance /= chance.sum()
        objective = "group_dro" if chosen.kind == "group_dro" else objective
    steps = tuning.dro_step_sizes if objective == "group_dro" else (0.0,)
    return [
        Trial(
            f"{epochs} epochs, weight decay {decay:g}" + (f", η {step:g}" if step else ""),
            index,
            epochs,
            chance,
            objective,  # type: ignore[arg-type]
            step,
            decay,
        )
        for epochs in sorted({max(1, round(share * params.epochs)) for share in tuning.lengths})
        for decay in dict.fromkeys((params.weight_decay, tuning.strong_weight_decay))
        for step in steps
    ]


def jtt_trials(
    rows: Rows, wrong: dict[int, NDArray[np.int64]], params: TrainParams, tuning: TuningParams
) -> list[Trial]:
    """Second stage: fresh models on all rows with the first models' errors repeated λ times more.

    Args:
        wrong: epochs of a first model → int64 training positions that it gets wrong.
    Raises:
        SettingsError: no first model makes an error.
    """
    found = []
    for first, errors in sorted(wrong.items()):
        for times in tuning.jtt_upweights if len(errors) else ():
            index = np.sort(np.concatenate([rows.index, np.repeat(errors, times)]))
            epochs = max(1, round(params.epochs * _batches(len(rows.index), params) / _batches(len(index), params)))
            found.append(Trial(f"{len(errors)} errors after {first} epochs, × {times} more", index, epochs))
    if not found:
        raise SettingsError(
            f"JTT has nothing to repeat: after {', '.join(str(e) for e in sorted(wrong))} epochs the first model gets "
            "every training example right.",
            fix="Lower the learning rate or raise the weight decay, so that the first model is a weak one.",
        )
    return found


def _batches(n: int, params: TrainParams) -> int:
    return -(-n // params.batch_size)
