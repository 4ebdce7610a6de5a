"""Recipes: which rows a method trains on, for how long, and which group labels it may read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError
from unskew.pruning import balanced_kept
from unskew.schemas.enums import Method
from unskew.schemas.methods import RECIPES, Recipe

__all__ = ["RECIPES", "Plan", "Recipe", "plan", "recipe", "refuse_forbidden_labels"]

# SUBG repeats a small subset many times; how often before it overfits is a matter of validation.
_SUBSAMPLE_LENGTHS = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Plan:
    """What one call of `train` will do.

    Attributes:
        index: int64, sorted training positions.
        epochs: one or more lengths, rising; the best on validation wins.
    """

    index: NDArray[np.int64]
    epochs: tuple[int, ...]


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
    chosen: Recipe, train_groups: NDArray[np.int64] | None, validation_groups: NDArray[np.int64] | None
) -> None:
    """Stop a method from being given group labels that it claims not to read.

    Raises:
        SettingsError: labels that the recipe may not read; training groups missing that it needs.
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
    if chosen.reads_training_groups and train_groups is None:
        raise SettingsError(
            f"The method {chosen.method} needs the group of every training example.",
            fix="Choose an attribute that is known on training rows.",
        )


def plan(
    chosen: Recipe,
    *,
    n_train: int,
    epochs: int,
    batch_size: int,
    seed: int,
    keep: NDArray[np.int64] | None,
    train_groups: NDArray[np.int64] | None,
    tunes: bool,
) -> Plan:
    """The rows and lengths of one run.

    Subsampling methods take as many gradient steps as ERM on all rows would; with validation groups to choose by
    (`tunes`), a quarter and half of that compete.

    Raises:
        SettingsError: `keep` is missing, empty or out of range; train_groups has another length.
    """
    index = _checked(chosen, keep, n_train)
    if not chosen.subsamples:
        return Plan(index, (epochs,))
    assert train_groups is not None, "refuse_forbidden_labels comes first"
    if len(train_groups) != n_train:
        raise SettingsError(f"There are {len(train_groups)} training groups for {n_train} rows.", fix="Give one a row.")
    index = index[balanced_kept(np.asarray(train_groups, dtype=np.int64)[index], seed)]
    full = epochs * -(-n_train // batch_size) / -(-len(index) // batch_size)
    lengths = _SUBSAMPLE_LENGTHS if tunes else (1.0,)
    return Plan(index, tuple(sorted({max(1, round(share * full)) for share in lengths})))


def _checked(chosen: Recipe, keep: NDArray[np.int64] | None, n_train: int) -> NDArray[np.int64]:
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
