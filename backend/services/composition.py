"""The training set by class and known attribute: as it is, after a removal, and as balancing would leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.services import examples
from backend.store import tables
from backend.store.db import Store
from unskew.groups import Grouping, attribute_values, counts, from_attribute
from unskew.pruning import balancing_drops
from unskew.schemas import api
from unskew.schemas.enums import Split


def balancing_would_drop(
    store: Store, project: tables.Project, group_set: tables.GroupSet, label: NDArray[np.int64]
) -> int | None:
    """Rows that subsampling to equal groups would drop; None where no attribute is known on training rows."""
    found = _known(store, project, group_set, label)
    return None if found is None else balancing_drops(found.counts, len(label))


def composition(
    store: Store,
    project: tables.Project,
    group_set: tables.GroupSet,
    label: NDArray[np.int64],
    removed: NDArray[np.integer],
) -> list[api.CompositionRow]:
    """One row a group that has training examples; empty where no attribute is known on them."""
    found = _known(store, project, group_set, label)
    if found is None:
        return []
    before = found.counts
    after = before - counts(found.group[removed], found.n_groups)
    smallest = int(before[before > 0].min())
    return [
        api.CompositionRow(name=name, before=int(b), after=int(a), balanced=smallest)
        for name, b, a in zip(found.names, before, after, strict=True)
        if b
    ]


def _known(
    store: Store, project: tables.Project, group_set: tables.GroupSet, label: NDArray[np.int64]
) -> Grouping | None:
    """Training groups by the set's attribute, else by the first that is known."""
    for attribute in [group_set.attribute, *project.attributes]:
        values = None if attribute is None else examples.attribute(store, project, Split.TRAIN, attribute)
        if values is not None and any(values):
            return from_attribute(values, label, class_names=project.class_names, known_values=attribute_values(values))
    return None
