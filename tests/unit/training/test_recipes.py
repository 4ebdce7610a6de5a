"""Which rows, for how long, and which labels: the promises of the recipes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.data import Data
from unskew.errors import SettingsError
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec
from unskew.training import RECIPES, recipe, train
from unskew.training.recipes import plan


def test_every_method_has_a_recipe() -> None:
    assert set(RECIPES) == set(Method)
    assert {m.value: r.labels_used for m, r in RECIPES.items()} == {
        "erm": "none",
        "trak": "validation groups",
        "auto_trak": "none",
        "random_k": "none",
        "subg": "training groups",
    }
    with pytest.raises(SettingsError, match=r"no method 'dro'. Choose one of erm, trak"):
        recipe("dro")


@pytest.mark.parametrize("method", ["erm", "auto_trak", "random_k"])
@pytest.mark.parametrize("labels", ["train_groups", "validation_groups"])
def test_methods_without_labels_refuse_them(
    method: str, labels: str, data: Data, groups: dict[str, Any], small: ModelSpec
) -> None:
    given_labels = groups["train" if labels == "train_groups" else "validation"]
    with pytest.raises(
        SettingsError, match=f"{method} may not read {labels.split('_')[0].replace('train', 'training')}"
    ):
        train(method, data, model=small, seed=0, keep=np.arange(50), **{labels: given_labels})


def test_trak_refuses_training_groups_only(data: Data, groups: dict[str, Any], small: ModelSpec) -> None:
    with pytest.raises(SettingsError, match="trak may not read training groups; it uses: validation groups"):
        train("trak", data, model=small, seed=0, keep=np.arange(50), train_groups=groups["train"])


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


def test_subg_of_the_demo_by_hand() -> None:
    groups = np.repeat([0, 1, 2, 3], [76, 1434, 1415, 75])
    found = plan(
        recipe("subg"), n_train=3000, epochs=12, batch_size=64, seed=0, keep=None, train_groups=groups, tunes=True
    )
    assert np.bincount(groups[found.index]).tolist() == [75, 75, 75, 75]
    # ERM takes 12 · 47 = 564 steps; the subset has 5 batches, so 113 epochs make as many.
    assert found.epochs == (28, 56, 113)
    alone = plan(
        recipe("subg"), n_train=3000, epochs=12, batch_size=64, seed=0, keep=None, train_groups=groups, tunes=False
    )
    assert alone.epochs == (113,) and np.array_equal(alone.index, found.index)


@given(
    st.lists(st.integers(-1, 3), min_size=4, max_size=80).filter(lambda g: max(g) >= 0),
    st.integers(1, 20),
    st.integers(1, 64),
)
def test_subsampling_takes_about_as_many_steps_as_erm(groups: list[int], epochs: int, batch_size: int) -> None:
    found = plan(
        recipe("subg"),
        n_train=len(groups),
        epochs=epochs,
        batch_size=batch_size,
        seed=0,
        keep=None,
        train_groups=np.array(groups),
        tunes=True,
    )
    per_epoch, erm = -(-len(found.index) // batch_size), epochs * -(-len(groups) // batch_size)
    assert abs(found.epochs[-1] * per_epoch - erm) <= per_epoch
    assert list(found.epochs) == sorted(set(found.epochs)) and found.epochs[0] >= 1


def test_kept_rows_are_subsampled_after_pruning() -> None:
    groups = np.array([0, 0, 0, 1, 1, 1])
    found = plan(
        recipe("subg"),
        n_train=6,
        epochs=1,
        batch_size=2,
        seed=0,
        keep=np.array([5, 0, 1]),
        train_groups=groups,
        tunes=False,
    )
    assert set(found.index) <= {0, 1, 5} and np.bincount(groups[found.index]).tolist() == [1, 1]
