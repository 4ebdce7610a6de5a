"""A split seen through a grouping: what every accuracy is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import examples
from backend.store import groups, runs, tables
from backend.store.db import Store
from unskew import evaluation
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.evaluation import GroupMetrics
from unskew.evaluation.seeds import SeedSummary, summarise
from unskew.groups import attribute_values, counts, from_attribute
from unskew.schemas.api import Interval
from unskew.schemas.enums import Split


@dataclass(frozen=True)
class Grouping:
    """What accuracies rest on beside the predictions; two with the same digest are the same, for the caches below."""

    digest: str
    label: NDArray[np.int64] = field(compare=False)
    group: NDArray[np.int64] = field(compare=False)
    n_groups: int = field(compare=False)
    train_counts: NDArray[np.int64] | None = field(compare=False)


# Kept, since neither stored predictions nor a grouping under its digest ever change: many people look at the same few.
@lru_cache(maxsize=2048)
def _metrics(store: Store, artifact: str, split: Split, on: Grouping) -> GroupMetrics:
    prediction = runs.prediction(store.artifacts, artifact, split)
    return evaluation.group_metrics(prediction, on.label, on.group, on.n_groups, on.train_counts)


@lru_cache(maxsize=256)
def _bootstrap(store: Store, artifacts: tuple[str, ...], split: Split, on: Grouping) -> Interval:
    right = [runs.prediction(store.artifacts, artifact, split) == on.label for artifact in artifacts]
    return evaluation.worst_group_bootstrap(np.stack(right), on.group, on.n_groups)


@dataclass
class View:
    """Examples of one split with their groups, and the measurements of runs on them.

    Attributes:
        title: the grouping in words.
        label, group: int64 (n,); group is label-major, -1 = in none.
        names: of all groups, position = number.
        train_counts: int64 (n_groups,); None where training groups are not known.
        group_set_id: when a group set gave the groups.
    """

    store: Store
    split: Split
    title: str
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    names: Sequence[str]
    train_counts: NDArray[np.int64] | None = None
    group_set_id: int | None = None

    @cached_property
    def grouping(self) -> Grouping:
        digest = hashlib.sha256(f"{len(self.names)} {len(self.label)}".encode())
        for part in (self.label, self.group, self.train_counts):
            digest.update(b"" if part is None else part.tobytes())
        return Grouping(digest.hexdigest(), self.label, self.group, len(self.names), self.train_counts)

    def measure(self, run: tables.Run) -> GroupMetrics:
        """Accuracies of one run, from its stored predictions."""
        return _metrics(self.store, run.predictions, self.split, self.grouping)

    def bootstrap(self, found: Sequence[tables.Run]) -> Interval:
        """Of the mean worst-group accuracy, over seeds and examples."""
        return _bootstrap(self.store, tuple(run.predictions for run in found), self.split, self.grouping)

    def summary(self, found: Sequence[tables.Run]) -> SeedSummary:
        """One method over its seeds."""
        return summarise([self.measure(run) for run in found], self.train_counts)


def view(
    store: Store,
    session: Session,
    project: tables.Project,
    split: Split,
    *,
    attribute: str | None = None,
    group_set_id: int | None = None,
) -> View:
    """The grouping asked for, laid over a split; without one: the first attribute, else the classes themselves.

    Raises:
        SettingsError: two groupings at once, or a group set on another split than validation.
        ConflictError: the split is empty. NotFoundError: no such attribute or group set.
    """
    if attribute is not None and group_set_id is not None:
        raise SettingsError("An attribute and a group set at once.", fix="Choose one of them.")
    label = examples.labels(store, project, split)
    if not len(label):
        raise ConflictError(f"This project has no {split.value} examples.", fix="Compare on validation.")
    if group_set_id is not None:
        return _of_group_set(store, session, project, split, label, group_set_id)
    attribute = attribute if attribute is not None else next(iter(project.attributes), None)
    if attribute is None:
        train = counts(examples.labels(store, project, Split.TRAIN), len(project.class_names))
        return View(store, split, "the classes", label, label, project.class_names, train)
    return _of_attribute(store, project, split, label, attribute)


def _of_group_set(
    store: Store, session: Session, project: tables.Project, split: Split, label: NDArray[np.int64], group_set_id: int
) -> View:
    row = groups.get(session, group_set_id)
    if row.project_id != project.id:
        raise NotFoundError(f"This project has no group set {group_set_id}.")
    if split is not Split.VALIDATION:
        raise SettingsError(
            "A group set knows the groups of validation examples only.", fix="Choose split validation, or an attribute."
        )
    given = groups.assignment(session, row.id)
    if not (given.group >= 0).any():
        raise ConflictError(f"No example of “{row.name}” is in a group yet.", fix="Label some first.")
    return View(store, split, f"{row.name} (version {row.version})", label, given.group, given.names, None, row.id)


def _of_attribute(
    store: Store, project: tables.Project, split: Split, label: NDArray[np.int64], attribute: str
) -> View:
    if attribute not in project.attributes:
        known = ", ".join(project.attributes) or "none"
        raise NotFoundError(f"There is no attribute {attribute!r}.", fix=f"This project has: {known}.")
    train_label = examples.labels(store, project, Split.TRAIN)
    # One numbering over all splits: a value that is missing in one of them must not shift the others' groups.
    column = {s: examples.attribute(store, project, s, attribute) for s in Split}
    known_values = attribute_values(*column.values())
    if not any(column[split]):
        raise ConflictError(f"{attribute!r} is not known on {split.value} examples.", fix="Choose another attribute.")

    def grouped(values: NDArray[np.str_], own: NDArray[np.int64]) -> NDArray[np.int64]:
        return from_attribute(values, own, class_names=project.class_names, known_values=known_values).group

    n_groups = len(project.class_names) * len(known_values)
    train = counts(grouped(column[Split.TRAIN], train_label), n_groups)
    names = [f"{class_name} · {value}" for class_name in project.class_names for value in known_values]
    group = grouped(column[split], label)
    return View(store, split, attribute, label, group, names, train if train.any() else None)
