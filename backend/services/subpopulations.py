"""Subpopulations of the training examples under one score set, and the rows that excluding some of them removes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.services import examples
from backend.store import projects as project_store
from backend.store import scores, tables
from backend.store.db import Store
from unskew import pruning
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

SMALLEST = 5  # examples of a subpopulation below which its mean says nothing


def table(store: Store, score_set_id: int, *, samples: int = 0, seed: int = 0) -> list[api.Subpopulation]:
    """Every class × attribute value by rising mean T, each with `samples` random examples and their T.

    Raises:
        SettingsError: no attribute is known on training examples.
    """
    with store.read() as session:
        row = scores.get(session, score_set_id)
        project = project_store.get(session, row.project_id)
        alignment = np.asarray(store.artifacts.load(scores.SCORES, row.artifact, "alignment.npy"))
        label, known = examples.labels(store, project, Split.TRAIN), _attributes(store, project)
        rng = np.random.default_rng(seed)
        made = []
        for found in pruning.subpopulations(alignment, label, known, smallest=SMALLEST):
            inside = np.flatnonzero((label == found.label) & (known[found.attribute] == found.value))
            drawn = np.sort(rng.permutation(inside)[:samples])
            made.append(
                api.Subpopulation(
                    label=found.label,
                    attribute=found.attribute,
                    value=found.value,
                    name=f"{project.class_names[found.label]} · {found.attribute} = {found.value}",
                    mean=found.mean,
                    below_zero=found.below_zero,
                    standard_errors=found.standard_errors,
                    examples=examples.at(store, session, project, Split.TRAIN, drawn, alignment[drawn]),
                )
            )
        return made


def excluded(store: Store, project: tables.Project, keys: list[api.SubpopulationKey]) -> NDArray[np.int64]:
    """Positions of the training rows in any of the subpopulations, rising.

    Raises:
        SettingsError: none is named, one has no row, or all rows would go.
    """
    label = examples.labels(store, project, Split.TRAIN)
    return pruning.members([(k.label, k.attribute, k.value) for k in keys], label, _attributes(store, project))


def _attributes(store: Store, project: tables.Project) -> dict[str, NDArray[np.str_]]:
    found = {name: examples.attribute(store, project, Split.TRAIN, name) for name in project.attributes}
    known = {name: values for name, values in found.items() if values.any()}
    if not known:
        raise SettingsError(
            "No attribute is known on training examples, so there are no subpopulations.",
            fix="Add attribute columns to the manifest; they are read for this table only.",
        )
    return known
