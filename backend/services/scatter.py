"""A class's validation examples along its directions: scatter of two, histogram of one, told apart by a grouping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import directions, examples
from backend.store import groups, pages, tables
from backend.store.db import Store
from unskew.errors import NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

MAX_POINTS = 20_000  # what a browser draws and lassoes without waiting


@dataclass(frozen=True)
class Told:
    """How examples are told apart.

    Attributes:
        names: of the series.
        of: int64 (n,), index into names; -1 = in none.
    """

    names: list[str]
    of: NDArray[np.int64]


def scatter(
    store: Store,
    direction_id: int,
    *,
    other_id: int,
    attribute: str | None = None,
    group_set: int | None = None,
    limit: int = MAX_POINTS,
) -> api.Scatter:
    """Points of two directions of one class; above `limit`, every n-th of the first one's order, ends included."""
    with store.read() as session:
        first, project = directions.find(session, direction_id)
        second, _ = directions.find(session, other_id)
        if (first.attribution_id, first.label) != (second.attribution_id, second.label):
            raise SettingsError("These directions belong to different classes.", fix="Choose two of one class.")
        positions, x = directions.signed_projection(store, first)
        same, y = directions.signed_projection(store, second)
        y = y[np.searchsorted(same, positions)]
        told = tell_apart(store, session, project, first.label, positions, attribute, group_set)
        some = np.argsort(x, kind="stable")[np.linspace(0, len(x) - 1, min(limit, len(x))).astype(int)]
        some = np.sort(some)
        ids = pages.ids(session, project.id, Split.VALIDATION, positions[some])
        return api.Scatter(
            x_id=first.id,
            y_id=second.id,
            example_id=ids,
            position=positions[some].tolist(),
            x=np.round(x[some], 5).tolist(),
            y=np.round(y[some], 5).tolist(),
            series=told.names,
            of=told.of[some].tolist(),
            n=len(positions),
        )


def histogram(
    store: Store, direction_id: int, *, attribute: str | None = None, group_set: int | None = None
) -> api.Histogram:
    """Projections on one direction; 0 is an edge, because groups are split there."""
    with store.read() as session:
        row, project = directions.find(session, direction_id)
        positions, projection = directions.signed_projection(store, row)
        told = tell_apart(store, session, project, row.label, positions, attribute, group_set)
    edges = directions.edges_through_zero(projection, directions.BINS)
    series = {name: np.histogram(projection[told.of == i], bins=edges)[0].tolist() for i, name in enumerate(told.names)}
    return api.Histogram(edges=edges.tolist(), series=series)


def tell_apart(
    store: Store,
    session: Session,
    project: tables.Project,
    label: int,
    positions: NDArray[np.int64],
    attribute: str | None,
    group_set: int | None,
) -> Told:
    """By a group set, else by an attribute, else by right and wrong (where there is a checkpoint).

    Raises:
        SettingsError: two groupings at once, or an attribute that is not there.
    """
    if attribute is not None and group_set is not None:
        raise SettingsError("An attribute and a group set at once.", fix="Choose one of them.")
    if group_set is not None:
        row = groups.get(session, group_set)
        if row.project_id != project.id:
            raise NotFoundError(f"This project has no group set {group_set}.")
        given = groups.assignment(session, row.id)
        own = given.group[positions]
        names = list(row.group_names[label])
        index = np.where(own >= 0, own - label * given.n_per_class, len(names))
        return Told([*names, "in no group"], index.astype(np.int64))
    if attribute is not None:
        if attribute not in project.attributes:
            raise SettingsError(f"There is no attribute {attribute!r}.", fix=f"Known: {', '.join(project.attributes)}.")
        column = examples.coded(store, project, Split.VALIDATION, attribute)
        return Told([value or "not known" for value in column.values], column.code[positions].astype(np.int64))
    said = examples.votes(store, session, project.id)
    if said is None:
        return Told(["all"], np.zeros(len(positions), dtype=np.int64))
    right = (said[:, positions] == label).mean(axis=0) >= 0.5
    return Told(["right", "wrong"], (~right).astype(np.int64))
