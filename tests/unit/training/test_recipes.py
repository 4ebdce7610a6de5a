"""Which rows, for how long, and which labels: the promises of the recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unskew.data import Data
from unskew.errors import SettingsError
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec, TrainParams, TuningParams
from unskew.training import RECIPES, recipe, train
from unskew.training.recipes import Rows, Trial, jtt_trials, kept_rows, trials


def test_every_method_has_a_recipe() -> None:
    assert set(RECIPES) == set(Method)
    assert {m.value: r.labels_used for m, r in RECIPES.items()} == {
        "erm": "none",
        "trak": "validation groups",
        "auto_trak": "none",
        "random_k": "none",
        "subg": "training groups",
        "suby": "none",
        "rwg": "training groups",
        "rwy": "none",
        "group_dro": "training groups",
        "lisa": "training groups",
        "jtt": "validation groups",
        "dfr": "validation groups",
        "afr": "validation groups",
        "auto_subg": "none",
        "auto_rwg": "none",
        "auto_group_dro": "none",
        "auto_lisa": "none",
        "auto_dfr": "none",
        "auto_jtt": "none",
        "auto_afr": "none",
        "loss_trak": "none",
        "exclude": "training groups",
        "refit": "none",
    }
    with pytest.raises(SettingsError, match=r"no method 'dro'. Choose one of erm, trak"):
        recipe("dro")


def _refused(method: str, data: Data, small: ModelSpec, **given: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        train(method, data, model=small, seed=0, keep=np.arange(50), **given)
    return caught.value.what


@pytest.mark.parametrize("method", list(Method))
def test_no_method_can_be_given_labels_that_it_claims_not_to_read(
    method: Method, data: Data, groups: dict[str, Any], small: ModelSpec
) -> None:
    """Over all methods: known training groups, known validation groups, discovered ones."""
    chosen = RECIPES[method]
    known = chosen.labels_used != "none"
    if chosen.labels_used != "training groups":
        said = _refused(method, data, small, train_groups=groups["train"])
        assert "may not read training groups" in said or "reads discovered groups, not known ones" in said
    if not known:
        said = _refused(method, data, small, validation_groups=groups["validation"])
        assert "may not read validation groups" in said or "reads discovered groups, not known ones" in said
    if not chosen.discovered:
        said = _refused(method, data, small, validation_groups=groups["validation"], discovered=True)
        assert "may not read validation groups" in said or "reads known groups, not discovered ones" in said


@pytest.mark.parametrize("method", [m for m in Method if not RECIPES[m].reads_training_groups])
def test_no_method_sees_an_attribute_of_the_data(
    method: Method, data: Data, groups: dict[str, Any], small: ModelSpec, short: TrainParams
) -> None:
    """The same model to the last bit when every attribute of the data is another one."""
    chosen = RECIPES[method]
    given: dict[str, Any] = {"discovered": chosen.discovered}
    if chosen.reads_validation_groups:
        given["validation_groups"] = groups["validation"]
    tuning = TuningParams(lengths=(1.0,), jtt_upweights=(2,), jtt_first=(0.3,), dfr_draws=2, afr_steps=20)
    scrambled = replace(
        data,
        **{
            name: replace(part, attributes={"stripe": part.attributes["stripe"][::-1]})
            for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
            if part is not None
        },
    )
    keep = np.arange(0, 90, 2)
    one, other = (
        train(method, d, model=small, seed=0, keep=keep, params=short, tuning=tuning, **given)
        for d in (data, scrambled)
    )
    assert all(torch.equal(one.state[k], other.state[k]) for k in one.state)


def test_subg_needs_training_groups(data: Data, small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="subg needs the group of every training example"):
        train("subg", data, model=small, seed=0)
    with pytest.raises(SettingsError, match="There are 3 training groups for 90 rows"):
        train("subg", data, model=small, seed=0, train_groups=np.array([0, 1, 2]))


@pytest.mark.parametrize("method", ["trak", "auto_trak", "random_k"])
def test_pruning_methods_need_what_is_kept(method: str, data: Data, small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="trains on the rows that pruning left"):
        train(method, data, model=small, seed=0)


@pytest.mark.parametrize(
    ("keep", "message"), [([], "is empty"), ([-1, 3], r"holds positions -1 … 3"), ([0, 90], r"holds positions 0 … 90")]
)
def test_rows_that_are_not_there_are_refused(keep: list[int], message: str, data: Data, small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match=message):
        train("trak", data, model=small, seed=0, keep=np.array(keep, dtype=np.int64))


def rows(groups: Any, *, keep: Any = None, label: Any = None, seed: int = 0) -> Rows:
    group = np.asarray(groups, dtype=np.int64)
    own = np.zeros(len(group), dtype=np.int64) if label is None else np.asarray(label, dtype=np.int64)
    return Rows(kept_rows(recipe("subg"), keep, len(group)), own, group, seed)


def of(method: str, these: Rows, epochs: int = 12, batch_size: int = 64, **tuning: Any) -> list[Trial]:
    params = TrainParams(epochs=epochs, batch_size=batch_size)
    return trials(recipe(method), these, params, TuningParams(**tuning))


DEMO = np.repeat([0, 1, 2, 3], [76, 1434, 1415, 75])


def test_subg_of_the_demo_by_hand() -> None:
    found = of("subg", rows(DEMO))
    assert all(np.bincount(DEMO[t.index]).tolist() == [75, 75, 75, 75] and t.chance is None for t in found)
    assert all(np.array_equal(t.index, found[0].index) for t in found), "one subset for the whole run"
    # ERM takes 12 · 47 = 564 steps; the subset has 5 batches, so 113 epochs make as many.
    assert [t.epochs for t in found] == [28, 56, 113]


def test_suby_balances_classes_without_a_group() -> None:
    found = of("suby", rows(np.full(30, -1), label=np.repeat([0, 1], [10, 20])))
    assert np.bincount(np.repeat([0, 1], [10, 20])[found[0].index]).tolist() == [10, 10]


def test_rwg_draws_every_group_equally_often() -> None:
    for trial in of("rwg", rows([*DEMO, -1])):
        assert trial.chance is not None and trial.chance.sum() == pytest.approx(1)
        assert len(trial.index) == 3000, "a row in no group is never drawn"
        shares = np.bincount(DEMO[trial.index], weights=trial.chance)
        assert shares == pytest.approx([0.25] * 4)
    assert [(t.epochs, t.weight_decay) for t in of("rwg", rows(DEMO))] == [(3, 1e-4), (3, 1.0), (12, 1e-4), (12, 1.0)]


def test_a_group_that_training_lacks_shifts_nothing() -> None:
    gap = np.array([0, 0, 0, 3, 3, 5])
    (trial, *_) = of("rwg", rows(gap))
    assert trial.chance is not None
    assert np.bincount(gap, weights=trial.chance)[[0, 3, 5]] == pytest.approx([1 / 3] * 3)
    assert np.bincount(gap[of("subg", rows(gap))[0].index]).tolist() == [1, 0, 0, 1, 0, 1]


def test_group_dro_draws_as_rwg_and_tries_every_step_size() -> None:
    found = of("group_dro", rows(DEMO), lengths=(1.0,), dro_step_sizes=(0.01, 0.1))
    assert [(t.step_size, t.weight_decay) for t in found] == [(0.01, 1e-4), (0.1, 1e-4), (0.01, 1.0), (0.1, 1.0)]
    assert all(t.objective == "group_dro" and t.chance is not None for t in found)


def test_jtt_repeats_the_errors_of_the_first_model() -> None:
    these = rows(np.zeros(10))
    first = of("jtt", these, epochs=20, jtt_first=(0.1, 0.25))
    assert [t.epochs for t in first] == [2, 5]
    found = jtt_trials(
        these, {2: np.array([3, 7]), 5: np.array([], dtype=np.int64)}, TrainParams(), TuningParams(jtt_upweights=(4,))
    )
    assert [np.bincount(t.index).tolist() for t in found] == [[1, 1, 1, 5, 1, 1, 1, 5, 1, 1]]


def test_jtt_without_an_error_says_what_to_do() -> None:
    none: dict[int, Any] = {1: np.array([], dtype=np.int64)}
    with pytest.raises(SettingsError, match="every training example right") as caught:
        jtt_trials(rows(np.zeros(4)), none, TrainParams(), TuningParams())
    assert "weight decay" in caught.value.fix


def test_afr_holds_a_fifth_out() -> None:
    (first,) = of("afr", rows(np.zeros(100)))
    assert len(first.index) == 80 and len(np.unique(first.index)) == 80


@given(
    st.lists(st.integers(-1, 3), min_size=4, max_size=80).filter(lambda g: max(g) >= 0),
    st.integers(1, 20),
    st.integers(1, 64),
)
def test_subsampling_takes_about_as_many_steps_as_erm(groups: list[int], epochs: int, batch_size: int) -> None:
    found = of("subg", rows(groups), epochs, batch_size)
    per_epoch, erm = -(-len(found[0].index) // batch_size), epochs * -(-len(groups) // batch_size)
    lengths = [t.epochs for t in found]
    assert abs(lengths[-1] * per_epoch - erm) <= per_epoch
    assert lengths == sorted(set(lengths)) and lengths[0] >= 1


def test_kept_rows_are_subsampled_after_pruning() -> None:
    groups = np.array([0, 0, 0, 1, 1, 1])
    (found, *_) = of("subg", rows(groups, keep=np.array([5, 0, 1])), 1, 2)
    assert set(found.index) <= {0, 1, 5} and np.bincount(groups[found.index]).tolist() == [1, 1]
