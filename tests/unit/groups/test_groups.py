"""Numbering is label-major, never shifts, and missing values are in no group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew import groups
from unskew.errors import DataError


def test_numbering_is_label_major() -> None:
    label, index = np.array([0, 0, 1, 1, 2]), np.array([0, 2, 0, -1, 1])
    assert groups.number(label, index, 3).tolist() == [0, 2, 3, -1, 7]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1))
def test_label_and_index_come_back(pairs: list[tuple[int, int]]) -> None:
    label, index = np.array(pairs).T
    group = groups.number(label, index, 5)
    assert np.array_equal(group // 5, label) and np.array_equal(group % 5, index)


@given(st.lists(st.integers(-1, 5)))
def test_counts_leave_out_the_unassigned_and_keep_empty_groups(group: list[int]) -> None:
    found = groups.counts(np.array(group, dtype=np.int64), 6)
    assert len(found) == 6
    assert found.sum() == sum(g >= 0 for g in group)


def test_attribute_with_gaps_and_missing_values() -> None:
    values = np.array(["grass", "", "brick", "grass"])
    label = np.array([0, 0, 1, 0])
    found = groups.from_attribute(values, label, class_names=["a", "b"], known_values=["brick", "grass"])
    assert found.group.tolist() == [1, -1, 2, 1]
    assert found.names == ("a · brick", "a · grass", "b · brick", "b · grass")
    assert found.counts.tolist() == [0, 2, 1, 0]  # "a · brick" and "b · grass" are empty, and numbers do not shift
    assert (found.n_groups, found.n_per_class) == (4, 2)


def test_numbers_agree_between_splits_when_values_are_shared() -> None:
    train, test = np.array(["2", "10"]), np.array(["10", "1"])
    known = groups.attribute_values(train, test)
    assert known == ("1", "2", "10")  # as numbers
    label = np.array([0, 0])
    in_train = groups.from_attribute(train, label, class_names=["a"], known_values=known)
    in_test = groups.from_attribute(test, label, class_names=["a"], known_values=known)
    assert in_train.group.tolist() == [1, 2] and in_test.group.tolist() == [2, 0]


def test_unknown_value_and_empty_attribute_are_refused() -> None:
    label = np.array([0])
    with pytest.raises(DataError, match="'sand' is unknown; known are grass"):
        groups.from_attribute(np.array(["sand"]), label, class_names=["a"], known_values=["grass"])
    with pytest.raises(DataError, match="no value"):
        groups.from_attribute(np.array([""]), label, class_names=["a"])


def test_impossible_numbering_is_refused() -> None:
    with pytest.raises(ValueError, match="2 entries and index 1"):
        groups.number(np.array([0, 1]), np.array([0]), 2)
    with pytest.raises(ValueError, match="index 2 is out of range"):
        groups.number(np.array([0]), np.array([2]), 2)
