"""`debias`: the whole loop in one call, for notebooks. Train, attribute, find groups, score, search K*, retrain.

The file is not called debias.py: a submodule of that name would replace the function `unskew.debias` once imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import Attribution, attribute
from unskew.data import Data
from unskew.discovery import pseudo_groups
from unskew.errors import SettingsError
from unskew.evaluation import Predictions, group_metrics
from unskew.pruning import group_weights, kept, removed, search_k
from unskew.schemas.enums import Method
from unskew.schemas.params import AttributeParams, DiscoverParams, ModelSpec, ScoreParams, TrainParams
from unskew.training import TrainResult, train


@dataclass(frozen=True)
class Debiased:
    """What `debias` returns.

    Attributes:
        model: the retrained model's result, of the first seed; of the last round.
        erm: the ERM runs that were attributed.
        removed: int64, ascending training positions that were dropped, over all rounds.
        alignment: float64 (n_train,), T.
        groups: int64 (n_validation,), the groups that T and K* rest on.
        curve: (K, worst-group, balanced validation accuracy over those groups), means over the seeds.
        then: the next round on the rows that were left, in positions among those; None where there was none.
    """

    model: TrainResult
    erm: list[TrainResult]
    attribution: Attribution
    removed: NDArray[np.int64]
    alignment: NDArray[np.float64]
    groups: NDArray[np.int64]
    curve: list[tuple[int, float, float]]
    then: Debiased | None = None


def debias(
    model: ModelSpec | str,
    data: Data,
    method: Method | str = Method.AUTO_TRAK,
    *,
    validation_groups: NDArray[np.int64] | None = None,
    checkpoint_seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    seeds: tuple[int, ...] = (0, 1, 2),
    params: TrainParams | None = None,
    attribution: AttributeParams | None = None,
    discovery: DiscoverParams | None = None,
    rounds: int = 1,
    on_stage: Callable[[str], None] | None = None,
) -> Debiased:
    """Find the bias, drop the training examples that cause it, retrain.

    Args:
        model: specification, or the import path of a factory.
        method: `auto_trak` finds pseudo-groups and reads no group label; `trak` uses `validation_groups`.
        validation_groups: int64 (n_validation,), label-major, -1 = in no group.
        seeds: of retraining; K* is chosen by validation accuracies averaged over them, with ERM (K = 0) as a candidate.
        rounds: how often at most to discover and prune, `auto_trak` only: each round attributes models trained on the
            rows that the round before left, and none follows on a round that removes nothing.
        on_stage: told what is being done.
    Raises:
        SettingsError: another method; groups given to `auto_trak` or missing for `trak`.
    """
    spec, chosen = ModelSpec(factory=model) if isinstance(model, str) else model, Method(method)
    if chosen not in (Method.TRAK, Method.AUTO_TRAK):
        raise SettingsError(f"{chosen.value} does not prune by attribution.", fix="Use auto_trak or trak.")
    if (chosen is Method.TRAK) != (validation_groups is not None):
        raise SettingsError(
            "trak needs validation_groups, and auto_trak must not see any.", fix="Choose the method that fits."
        )
    tell, params = on_stage or (lambda _: None), params or TrainParams()
    tell("train ERM checkpoints")
    erm = [train(Method.ERM, data, model=spec, seed=seed, params=params) for seed in checkpoint_seeds]
    tell("attribute")
    states = [result.state for result in erm]
    found = attribute(
        spec,
        states,
        data.train,
        data.validation,
        params=attribution,
        n_classes=len(data.class_names),
        shape=data.shape,
    )
    tell("find groups and score")
    label = data.validation.label
    if validation_groups is None:
        directions = found.directions(label, data.train.label, discovery or DiscoverParams(n_directions=1))
        groups = pseudo_groups(directions, label)
    else:
        groups = np.asarray(validation_groups, dtype=np.int64)
    n_groups = int(groups.max()) + 1
    rule = ScoreParams.model_fields["weight_rule"].default
    alignment = found.alignment(groups, group_weights(found.target_loss, groups, n_groups, rule))
    tell("search K*")

    def retrain(index: NDArray[np.int64], seed: int) -> TrainResult:
        return train(chosen, data, model=spec, seed=seed, keep=index, params=params)

    def evaluate(index: NDArray[np.int64]) -> tuple[float, float]:
        measured = [_measured(retrain(index, seed).validation, label, groups, n_groups) for seed in seeds]
        worst, balanced = np.mean(measured, axis=0)
        return float(worst), float(balanced)

    k, curve = search_k(alignment, evaluate)
    tell(f"retrain without {k:,} examples")
    dropped = removed(alignment, k)
    final = retrain(kept(len(data.train), dropped), seeds[0])
    result = Debiased(final, erm, found, dropped, alignment, groups, curve)
    if rounds <= 1 or not len(dropped) or chosen is not Method.AUTO_TRAK:
        return result
    left = kept(len(data.train), dropped)
    again = debias(
        spec,
        replace(data, train=data.train.at(left)),
        chosen,
        checkpoint_seeds=checkpoint_seeds,
        seeds=seeds,
        params=params,
        attribution=attribution,
        discovery=discovery,
        rounds=rounds - 1,
        on_stage=on_stage,
    )
    return replace(result, model=again.model, removed=np.sort(np.append(dropped, left[again.removed])), then=again)


def _measured(
    predictions: Predictions, label: NDArray[np.int64], groups: NDArray[np.int64], n_groups: int
) -> tuple[float, float]:
    found = group_metrics(predictions.prediction, label, groups, n_groups)
    return found.worst_group_accuracy, found.balanced_accuracy
