"""Groups: numbering, names and counts. numpy only.

A group is a set of examples inside one class. Numbering is label-major everywhere in the product:

    group = label * n_per_class + index          index in 0 … n_per_class - 1, the same meaning inside every class

so that the class is `group // n_per_class` and a pseudo-group's bit is `group % n_per_class`. -1 means "in no group".
WILDS numbers with the first field fastest; whoever reads such files converts at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.errors import DataError

UNASSIGNED = -1


@dataclass(frozen=True)
class Grouping:
    """One assignment of groups to the examples of one split.

    Attributes:
        group: int64 (n,), label-major; -1 where the example is in no group.
        names: n_groups names, for a person; position = group number. Groups may be empty.
        n_per_class: indexes inside every class.
        index_names: the n_per_class names of the indexes, without the class.
    """

    group: NDArray[np.int64]
    names: tuple[str, ...]
    n_per_class: int
    index_names: tuple[str, ...]

    @property
    def n_groups(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 (n_groups,): examples in each group."""
        return counts(self.group, self.n_groups)


def number(label: NDArray[np.int64], index: NDArray[np.int64], n_per_class: int) -> NDArray[np.int64]:
    """Number groups label-major; a negative index (missing) gives -1.

    Args:
        label: int64 (n,), class of each example.
        index: int64 (n,), index inside the class, < n_per_class.
    Returns:
        int64 (n,).
    Raises:
        ValueError: lengths differ, or an index is n_per_class or more.
    """
    label = np.asarray(label, dtype=np.int64)
    index = np.asarray(index, dtype=np.int64)
    if label.shape != index.shape:
        raise ValueError(f"label has {len(label)} entries and index {len(index)}; they must be equal.")
    if index.size and int(index.max()) >= n_per_class:
        raise ValueError(f"index {int(index.max())} is out of range: there are {n_per_class} groups a class.")
    return np.where(index < 0, UNASSIGNED, label * n_per_class + index)


def names(class_names: Sequence[str], index_names: Sequence[str]) -> tuple[str, ...]:
    """Names of all groups in their numbering: "class · index"."""
    return tuple(f"{c} · {i}" for c in class_names for i in index_names)


def counts(group: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """Examples in each group; int64 (n_groups,). Rows in no group (-1) are not counted."""
    group = np.asarray(group, dtype=np.int64)
    return np.bincount(group[group >= 0], minlength=n_groups).astype(np.int64)


def attribute_values(*columns: NDArray[np.str_]) -> tuple[str, ...]:
    """The distinct values of an attribute over all splits, sorted (as numbers when all are integers); missing left out.

    Pass every split's column, so that one numbering holds for all of them.
    """
    found = set().union(*(np.unique(np.asarray(c)).tolist() for c in columns)) if columns else set()
    return tuple(sorted_names({str(v) for v in found} - {""}))


def sorted_names(values: set[str]) -> list[str]:
    """Names in the order a person expects: numeric when all are integers, else alphabetic."""
    try:
        return sorted(values, key=lambda v: (int(v), v))
    except ValueError:
        return sorted(values)


def from_attribute(
    values: NDArray[np.str_],
    label: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    known_values: Sequence[str] | None = None,
) -> Grouping:
    """Group the examples of one split by class and attribute value.

    Args:
        values: str (n,), one attribute; "" = missing, which puts the example in no group.
        label: int64 (n,).
        class_names: names of all classes; their number fixes the numbering even where a class has no example here.
        known_values: the attribute's values over all splits (`attribute_values`); default: those found here.
            A value that no example of some class has leaves that group empty: numbers never shift.
    Raises:
        DataError: no example has a value, or one has a value that is not among `known_values`.
    """
    values = np.asarray(values)
    known = attribute_values(values) if known_values is None else tuple(known_values)
    if not known:
        raise DataError("The attribute has no value on any example.", fix="Choose another one, or fill the column.")
    position = {v: i for i, v in enumerate(known)} | {"": UNASSIGNED}
    distinct, inverse = np.unique(values, return_inverse=True)
    unknown = [str(v) for v in distinct if str(v) not in position]
    if unknown:
        raise DataError(
            f"The attribute value {unknown[0]!r} is unknown; known are {', '.join(known)}.",
            fix="Pass the values of all splits.",
        )
    index = np.array([position[str(v)] for v in distinct], dtype=np.int64)[inverse]
    return Grouping(number(label, index, len(known)), names(class_names, known), len(known), known)
