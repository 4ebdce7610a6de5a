"""Which direction, cut where? Pruning by every rule that finds groups without labels, on sets with a planted bias.

One case is a set × the skew of training × how validation is drawn (as skewed as training, or balanced). Each rule
makes groups of the validation examples. The rest is the same for all: group alignment, a grid of K with ERM in it, K*
by validation worst-group accuracy over the rule's *own* groups, then worst-group accuracy on test over the planted
groups. Test and planted groups are read for that last number only (and by *true groups*).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unskew.attribution import Attribution, attribute
from unskew.bench.coloured import SIZE, coloured_digits
from unskew.bench.many import Fit, fit_many, network, predictions
from unskew.data import Data, build_set, load_data, load_project_source
from unskew.discovery import ClassDirections, pseudo_groups
from unskew.evaluation import group_metrics, majority_right
from unskew.groups import attribute_values, from_attribute
from unskew.models import build
from unskew.pruning import choose_k, default_grid, group_weights, heuristic_k, kept, random_removed, removed
from unskew.schemas.enums import CutRule, DirectionKind, Method, RowTransform
from unskew.schemas.params import AttributeParams, DiscoverParams, ModelSpec, ScoreParams, ValidationSkew
from unskew.training import train

TINY = "tiny"  # coloured digits of 7 × 7 pixels and a two-layer network, many trained at once
SKEWS = (0.9, 0.95)
_CHECKPOINTS = (0, 1, 2, 3, 4)
_SEEDS = (0, 1, 2)  # of the search for K*, and of the accuracy that is reported
DEFAULT = "offered first"
BY_SCORES = f"{DEFAULT}, removed by single scores"

Groups = NDArray[np.int64]
State = dict[str, torch.Tensor]
Wanted = tuple[bytes, int]  # the rows kept, as bytes, and the seed


class Case:
    """One drawn set, and what is needed of it.

    Attributes:
        planted: group of every validation and test example, label-major; for *true groups* and the last number only.
        planted_in_training: likewise, of every training example; never read by a rule.
    """

    def __init__(self, name: str, seed: int, skew: float, validation: ValidationSkew) -> None:
        self.tiny = name == TINY
        if self.tiny:
            made = coloured_digits(seed, skew, skew if validation == "skewed" else 0.5)
            self.data = made.data
            label = made.data.validation.label
            self.planted = 2 * label + made.validation_minority, made.test_group
            self.planted_in_training = 2 * made.data.train.label + made.train_minority
            self.params = AttributeParams(projection_in=8, projection_out=8)
        else:
            with tempfile.TemporaryDirectory() as folder:
                how = build_set(name, Path(folder) / name, seed=seed, skew=skew, validation=validation)
                self.data = load_data(load_project_source(how), how)
            self.planted_in_training, *others = _planted(self.data)
            self.planted = others[0], others[1]
            self.params = AttributeParams()
        self.spec = ModelSpec()
        self.done: dict[Wanted, tuple[Groups, Groups]] = {}

    def checkpoints(self) -> list[State]:
        if self.tiny:
            return fit_many([Fit(self.data.train, seed) for seed in _CHECKPOINTS], n_classes=2)
        return [train(Method.ERM, self.data, model=self.spec, seed=seed).state for seed in _CHECKPOINTS]

    def attribution(self, states: Sequence[State]) -> Attribution:
        classes, shape = len(self.data.class_names), self.data.shape
        model = network(SIZE, 2) if self.tiny else build(self.spec, n_classes=classes, shape=shape, seed=0)
        return attribute(model, list(states), self.data.train, self.data.validation, params=self.params)

    def retrain(self, wanted: Sequence[tuple[NDArray[np.int64], int]]) -> None:
        """Train what is not there yet; `said` then knows it."""
        test = self.data.test
        assert test is not None
        missing = {(keep.tobytes(), seed): (keep, seed) for keep, seed in wanted}
        missing = {key: value for key, value in missing.items() if key not in self.done}
        if self.tiny:
            states = fit_many([Fit(self.data.train, seed, keep) for keep, seed in missing.values()], n_classes=2)
            each = predictions(states, self.data.validation), predictions(states, test)
            self.done |= dict(zip(missing, zip(*each, strict=True), strict=True))
            return
        for key, (keep, seed) in missing.items():
            made = train(Method.TRAK, self.data, model=self.spec, seed=seed, keep=keep)
            assert made.test is not None
            self.done[key] = made.validation.prediction, made.test.prediction

    def said(self, keep: NDArray[np.int64], seed: int) -> tuple[Groups, Groups]:
        """Predictions on validation and on test."""
        return self.done[keep.tobytes(), seed]


def measure(
    *,
    name: str,
    skews: Sequence[float] = SKEWS,
    runs: int = 5,
    first_seed: int,
    only_default: bool = False,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Test worst-group accuracy of every rule in every case; JSON-able.

    Args:
        name: TINY or a set that ships.
        runs: sets drawn a case, seeds first_seed … first_seed + runs - 1.
        only_default: leave out the rules that were looked at and not taken.
    """
    rows: list[dict[str, Any]] = []
    for skew in skews:
        for validation in ("skewed", "balanced"):
            found = []
            for seed in range(first_seed, first_seed + runs):
                found.append(compare(Case(name, seed, skew, validation), only_default=only_default))
                tell(f"{name}, {skew}, {validation}, seed {seed}: {found[-1]}")
            for rule in found[0]:
                values = [one[rule] for one in found]
                rows.append({"skew": skew, "validation": validation, "rule": rule, "worst_group_accuracy": values})
    return {"set": name, "n_runs": runs, "first_seed": first_seed, "n_training_seeds": len(_SEEDS), "rows": rows}


def compare(case: Case, *, only_default: bool = False) -> dict[str, float]:
    """Test worst-group accuracy by rule, mean over the training seeds."""
    states = case.checkpoints()
    found = case.attribution(states)
    n, everything = len(case.data.train), np.arange(len(case.data.train))
    rules = {"true groups": case.planted[0]} | dict(_rules(case, found, states, only_default))
    orders: dict[str, NDArray[np.float64]] = {}
    wanted = [(everything, seed) for seed in _SEEDS]
    for rule, group in rules.items():
        weight = group_weights(found.target_loss, group, int(group.max()) + 1, _WEIGHT)
        if rule == BY_SCORES:
            orders[rule] = sum(w * found.mean(np.flatnonzero(group == g)) for g, w in enumerate(weight) if w)
        else:
            orders[rule] = found.alignment(group, weight)
        wanted += [(kept(n, removed(orders[rule], k)), seed) for k in _grid(orders[rule]) for seed in _SEEDS]
    case.retrain(wanted)
    result = {"ERM": _on_test(case, [everything] * len(_SEEDS))}
    chosen = {rule: _best(case, orders[rule], group) for rule, group in rules.items()}
    k = chosen[DEFAULT]
    at_random = [kept(n, random_removed(n, k, seed)) for seed in _SEEDS]
    case.retrain(list(zip(at_random, _SEEDS, strict=True)))
    result["random, as many"] = _on_test(case, at_random)
    for rule, k in chosen.items():
        result[rule] = _on_test(case, [kept(n, removed(orders[rule], k))] * len(_SEEDS))
    return result


_WEIGHT = ScoreParams.model_fields["weight_rule"].default


def _rules(case: Case, found: Attribution, states: Sequence[State], only_default: bool) -> Iterator[tuple[str, Groups]]:
    """Groups by rule; none reads a label of a group."""
    label, train_label = case.data.validation.label, case.data.train.label
    wrong = ~majority_right(found.target_prediction, label)
    directions = found.directions(label, train_label, DiscoverParams())
    yield "loss alone", 2 * label + (found.target_loss > np.log(2))
    yield DEFAULT, pseudo_groups(directions, label)
    yield "error-guided", _sides(directions, label, _of_kind(directions, DirectionKind.ERROR_GUIDED))
    yield "PC1", _sides(directions, label, _of_kind(directions, DirectionKind.PRINCIPAL))
    if only_default:
        return
    yield BY_SCORES, pseudo_groups(directions, label)
    for rule in (CutRule.GAP, CutRule.MIXTURE, CutRule.ERRORS):
        yield f"{DEFAULT}, cut: {rule.value}", pseudo_groups(directions, label, rule=rule, wrong=wrong)
    losses = {d.label: _loss_gaps(d, found.target_loss) for d in directions}
    yield "largest gap in loss", _sides(directions, label, {c: int(np.argmax(gaps)) for c, gaps in losses.items()})
    yield "most stable", _sides(directions, label, _most_stable(case, states, directions))
    for title, change in (
        ("PC1, rows as they are", {"row_transform": RowTransform.NONE}),
        ("PC1, lengths as they are", {"normalise_rows": False}),
        ("PC1, not centred", {"centre": False}),
    ):
        params = DiscoverParams(n_directions=1, error_guided=False).model_copy(update=change)
        yield title, pseudo_groups(found.directions(label, train_label, params), label)


def _sides(directions: list[ClassDirections], label: NDArray[np.int64], index: Mapping[int, int]) -> Groups:
    return pseudo_groups({d.label: d.projections[index[d.label]] for d in directions}, label)


def _of_kind(directions: list[ClassDirections], kind: DirectionKind) -> dict[int, int]:
    """The first direction of that kind in each class; where there is none (no error), the first of all."""
    return {d.label: d.kinds.index(kind) if kind in d.kinds else 0 for d in directions}


def _loss_gaps(directions: ClassDirections, loss: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean loss on the positive side less that on the other, by direction; 0 where a side is empty."""
    own, gaps = loss[directions.positions], np.zeros(len(directions))
    for i, projection in enumerate(directions.projections):
        above = projection > 0
        if 0 < above.sum() < len(above):
            gaps[i] = own[above].mean() - own[~above].mean()
    return gaps


def _most_stable(case: Case, states: Sequence[State], directions: list[ClassDirections]) -> dict[int, int]:
    """The principal direction that two attributions from other checkpoints each agree on most."""
    label, train_label = case.data.validation.label, case.data.train.label
    params = DiscoverParams(error_guided=False)
    first, second = (
        case.attribution(half).directions(label, train_label, params) for half in (states[:2], states[2:4])
    )
    chosen = {}
    for whole, one, other in zip(directions, first, second, strict=True):
        places = [i for i, kind in enumerate(whole.kinds) if kind is DirectionKind.PRINCIPAL]
        kept_in = [
            min(np.abs(np.corrcoef(whole.projections[i], half.projections)[0, 1:]).max() for half in (one, other))
            for i in places
        ]
        chosen[whole.label] = places[int(np.argmax(kept_in))]
    return chosen


def _grid(order: NDArray[np.float64]) -> list[int]:
    return default_grid(heuristic_k(order), len(order))


def _best(case: Case, order: NDArray[np.float64], group: Groups) -> int:
    """K* over the rule's own groups on validation; ERM competes."""
    label, n, curve = case.data.validation.label, len(order), []
    for k in (0, *_grid(order)):
        keep = kept(n, removed(order, k))
        measured = [group_metrics(case.said(keep, seed)[0], label, group, int(group.max()) + 1) for seed in _SEEDS]
        worst, balanced = (
            float(np.mean([getattr(m, name) for m in measured]))
            for name in ("worst_group_accuracy", "balanced_accuracy")
        )
        curve.append((k, worst, balanced))
    return choose_k(curve)


def _on_test(case: Case, keeps: Sequence[NDArray[np.int64]]) -> float:
    """Worst-group accuracy over the planted groups, mean over the seeds."""
    assert case.data.test is not None
    label, group = case.data.test.label, case.planted[1]
    measured = [
        group_metrics(case.said(keep, seed)[1], label, group, int(group.max()) + 1)
        for keep, seed in zip(keeps, _SEEDS, strict=True)
    ]
    return round(float(np.mean([m.worst_group_accuracy for m in measured])), 4)


def _planted(data: Data) -> list[Groups]:
    """Groups of training, validation and test."""
    assert data.test is not None
    (name,) = data.validation.attributes
    splits = data.train, data.validation, data.test
    known = attribute_values(*(split.attributes[name] for split in splits))
    return [
        from_attribute(split.attributes[name], split.label, class_names=data.class_names, known_values=known).group
        for split in splits
    ]
