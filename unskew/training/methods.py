"""What each kind of method does with its trials: compete, train twice, or fit the last layer anew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from unskew.schemas.methods import Recipe
from unskew.training import heads
from unskew.training.recipes import Rows, Trial, jtt_trials, trials
from unskew.training.runs import Finished, Runs

State = Mapping[str, torch.Tensor]


def run_method(chosen: Recipe, rows: Rows, runs: Runs, base: State | None) -> Finished:
    """The model that a method ends with.

    Args:
        base: state of the ERM model with the same rows, seed and settings, for methods that start from one; trained
            now where it is None.
    """
    first = trials(chosen, rows, runs.params, runs.tuning)
    if chosen.kind == "jtt":
        return _jtt(first, rows, runs)
    if chosen.kind == "afr":
        return _afr(first[0], rows, runs)
    if chosen.refits_erm:
        return _refit(chosen, first[0], rows, runs, base)
    return compete(first, runs, stops_early=chosen.selects)


def compete(these: list[Trial], runs: Runs, *, stops_early: bool) -> Finished:
    """The best of them on validation; the first on a tie."""
    runs.work = max(1, runs.done + sum(trial.work for trial in these))
    return max((runs.fit(trial, stops_early=stops_early) for trial in these), key=lambda found: found.score)


def _jtt(first: list[Trial], rows: Rows, runs: Runs) -> Finished:
    """Errors of the first models in evaluation mode, then fresh models on all rows with the errors repeated."""
    second = len(first) * len(runs.tuning.jtt_upweights) * runs.params.epochs * len(rows.index)
    runs.work = sum(trial.work for trial in first) + second
    wrong = {}
    for trial in first:
        model = runs.model(runs.fit(trial, stops_early=False).state)
        said = runs.predict(model, runs.train_inputs, runs.data.train).prediction
        wrong[trial.epochs] = rows.index[said[rows.index] != rows.label[rows.index]]
    return compete(jtt_trials(rows, wrong, runs.params, runs.tuning), runs, stops_early=True)


def _refit(chosen: Recipe, erm: Trial, rows: Rows, runs: Runs, base: State | None) -> Finished:
    runs.work = erm.work
    found = runs.fit(erm, stops_early=False) if base is None else Finished((0, 0), dict(base), "", len(rows.index), [])
    model, name, train, validation = _embedded(found, rows.index, runs)
    given = (train, validation, runs.data.validation.label)
    if chosen.kind == "refit":
        head = heads.refit(*given, runs.tuning, rows.seed, n_classes=runs.n_classes)
    else:
        assert runs.validation_groups is not None, "refuse_forbidden_labels comes first"
        head = heads.dfr(*given, runs.validation_groups, runs.tuning, rows.seed, n_classes=runs.n_classes)
    return _with_head(found, model, name, head, len(rows.index))


def _afr(first: Trial, rows: Rows, runs: Runs) -> Finished:
    runs.work = first.work
    found = runs.fit(first, stops_early=False)
    held_out = np.setdiff1d(rows.index, first.index)
    model, name, train, validation = _embedded(found, held_out, runs)
    layer = model.get_submodule(name)
    assert isinstance(layer, torch.nn.Linear)
    weight, bias = (p.detach().double().cpu().numpy().copy() for p in (layer.weight, layer.bias))

    def judge(head: heads.Head) -> tuple[float, float]:
        return runs.judge((validation @ head.weight.T + head.bias).argmax(axis=1))

    start = heads.Head(weight, bias, "first stage kept")
    head = heads.afr(start, train, rows.label[held_out], judge, runs.tuning, runs.should_stop)
    return _with_head(found, model, name, head, len(rows.index))


def _embedded(found: Finished, index: heads.Index, runs: Runs) -> tuple[torch.nn.Module, str, heads.Array, heads.Array]:
    """The model, the name of its last layer, and the embeddings of some training rows and of validation."""
    model = runs.model(found.state)
    name = heads.last_layer(model, runs.n_classes, runs.data.shape, runs.device)
    everything = np.arange(len(runs.data.validation), dtype=np.int64)
    train = heads.embed(model, name, runs.train_inputs, index, runs.device, runs.should_stop)
    validation = heads.embed(model, name, runs.validation_inputs, everything, runs.device, runs.should_stop)
    return model, name, train, validation


def _with_head(found: Finished, model: torch.nn.Module, name: str, head: heads.Head, n_train: int) -> Finished:
    head.put(model, name)
    state = {k: v.detach().to("cpu", copy=True) for k, v in model.state_dict().items()}
    return Finished(found.score, state, head.setting, n_train, found.curves)
