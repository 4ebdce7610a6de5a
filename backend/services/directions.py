"""Directions: the list, one in detail, its four strips, and what a person says about it.

Stored arrays are never changed. A flip is a sign in the row, and everything that is shown is multiplied by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import examples
from backend.store import attributions as attribution_store
from backend.store import projects as project_store
from backend.store import tables
from backend.store.db import Store
from unskew.errors import NotFoundError
from unskew.schemas import api
from unskew.schemas.enums import DirectionKind, DirectionState, Split

BINS = 40


def list_directions(store: Store, slug: str, label: int | None = None) -> list[api.Direction]:
    """Of the newest attribution that has any; by class, then by share."""
    with store.read() as session:
        project = project_store.get(session, slug)
        rows = attribution_store.newest_directions(session, project.id)
        titles = _titles(rows)
        return [_body(project, row, titles[row.id]) for row in rows if label in (None, row.label)]


def get(store: Store, direction_id: int) -> api.DirectionDetail:
    with store.read() as session:
        row, project = find(session, direction_id)
        order = [d.id for d in attribution_store.newest_directions(session, project.id)]
        titles = _titles(attribution_store.found_with(session, row))
        place = order.index(row.id) if row.id in order else None
        return api.DirectionDetail(
            **_body(project, row, titles[row.id]).model_dump(),
            scree=row.scree,
            histogram=_histogram(store, session, project, row),
            params=row.params,
            previous_id=order[place - 1] if place else None,
            next_id=order[place + 1] if place is not None and place + 1 < len(order) else None,
        )


def update(store: Store, direction_id: int, patch: api.DirectionPatch) -> api.DirectionDetail:
    """Name, note, flip or discard. A name given to an open direction makes it a named one."""
    with store.session() as session:
        row, _ = find(session, direction_id)
        for field, value in patch.model_dump(exclude_unset=True, exclude_none=True).items():
            setattr(row, field, value)
        if patch.name and patch.state is None and row.state == DirectionState.OPEN:
            row.state = DirectionState.NAMED
    return get(store, direction_id)


def strips(store: Store, direction_id: int, *, n: int = 24, offset: int = 0) -> list[api.Strip]:
    """Validation examples by projection and training examples by loading: each from both ends, the extreme first."""
    with store.read() as session:
        row, project = find(session, direction_id)
        made = []
        for name, split in (("validation", Split.VALIDATION), ("training", Split.TRAIN)):
            order, values = _ordered(store, row, split)
            inwards = {end: order if end * row.sign < 0 else order[::-1] for end in (-1, 1)}
            low, high = (np.asarray(inwards[end][offset : offset + n]) for end in (-1, 1))
            some = np.concatenate([low, high])  # both ends in one query
            shown = row.sign * np.asarray(values[some])
            positions = _positions(store, row)[some] if split is Split.VALIDATION else some
            items = examples.at(store, session, project, split, positions, shown)
            for end, of_end in ((-1, items[: len(low)]), (1, items[len(low) :])):
                made.append(api.Strip.model_validate({"strip": name, "end": end, "items": of_end}))
        return made


def projection_and_attribute(
    store: Store, slug: str, direction_id: int, attribute: str
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """A class's validation examples: signed projection (n_c,) and the attribute's values (n_c,), for evaluation."""
    with store.read() as session:
        row, project = find(session, direction_id)
        values = project_store.attribute(session, project.id, Split.VALIDATION, attribute)
    positions, projection = signed_projection(store, row)
    return projection, values[positions]


def find(session: Session, direction_id: int) -> tuple[tables.Direction, tables.Project]:
    row = attribution_store.direction(session, direction_id)
    attribution = session.get(tables.Attribution, row.attribution_id)
    if attribution is None:
        raise NotFoundError(f"There is no direction {direction_id}.")
    return row, project_store.get(session, attribution.project_id)


def signed_projection(store: Store, row: tables.Direction) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Validation positions of the class, int64 (n_c,), and their projections with the row's sign, float64 (n_c,)."""
    projection = _load(store, row, "projections.npy")[row.index]
    return _positions(store, row), row.sign * projection.astype(np.float64)


def ordered(store: Store, row: tables.Direction, split: Split) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of the class's examples of a split by rising signed value, int64 (n_c,), and the values, float64."""
    order, values = _ordered(store, row, split)
    places = np.asarray(order)[:: row.sign]
    signed = row.sign * np.asarray(values, dtype=np.float64)[places]
    return (_positions(store, row)[places] if split is Split.VALIDATION else places), signed


def _positions(store: Store, row: tables.Direction) -> NDArray[np.int64]:
    return np.asarray(_load(store, row, "positions.npy"))


def _ordered(store: Store, row: tables.Direction, split: Split) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A stored order, rising, and the values that it indexes."""
    order, values = {
        Split.VALIDATION: ("validation_order.npy", "projections.npy"),
        Split.TRAIN: ("training_order.npy", "loadings.npy"),
    }[split]
    return _load(store, row, order)[row.index], _load(store, row, values)[row.index]


def _load(store: Store, row: tables.Direction, name: str) -> NDArray[np.generic]:
    return store.artifacts.load(attribution_store.DIRECTIONS, row.artifact, name)


def _titles(rows: Sequence[tables.Direction]) -> dict[int, str]:
    """Short names by direction: "errors" for the error-guided one of a class, PC1, PC2 … for its principal ones."""
    titles: dict[int, str] = {}
    n_principal: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.index):
        if row.kind == DirectionKind.ERROR_GUIDED:
            titles[row.id] = "errors"
        else:
            n_principal[row.label] = n_principal.get(row.label, 0) + 1
            titles[row.id] = f"PC{n_principal[row.label]}"
    return titles


def _body(project: tables.Project, row: tables.Direction, title: str) -> api.Direction:
    evidence = api.Evidence.model_validate(row.evidence)
    return api.Direction(
        id=row.id,
        attribution_id=row.attribution_id,
        label=row.label,
        label_name=project.class_names[row.label],
        index=row.index,
        kind=DirectionKind(row.kind),
        title=title,
        share=row.share,
        sign=1 if row.sign > 0 else -1,
        name=row.name,
        note=row.note,
        state=DirectionState(row.state),
        evidence=evidence if row.sign > 0 else _flipped(evidence),
    )


def _flipped(evidence: api.Evidence) -> api.Evidence:
    """The same evidence with the two sides' names exchanged."""
    words = evidence.sentence.replace("positive side", "\0").replace("negative side", "positive side")
    return evidence.model_copy(
        update={
            "sentence": words.replace("\0", "negative side"),
            "accuracy_negative": evidence.accuracy_positive,
            "accuracy_positive": evidence.accuracy_negative,
            "loss_negative": evidence.loss_positive,
            "loss_positive": evidence.loss_negative,
            "differences": [_swapped(row) for row in evidence.differences],
        }
    )


def _swapped(row: api.Difference) -> api.Difference:
    """The same difference told of the other end."""
    area = row.auroc
    other = api.Interval(value=1 - area.value, low=1 - area.high, high=1 - area.low, n=area.n)
    return row.model_copy(update={"words": row.words_less, "words_less": row.words, "auroc": other})


def _histogram(store: Store, session: Session, project: tables.Project, row: tables.Direction) -> api.Histogram:
    """Projections of right and wrong examples; 0 is an edge, because groups are split there."""
    positions, projection = signed_projection(store, row)
    edges = edges_through_zero(projection, BINS)
    said = examples.votes(store, session, project.id)
    if said is None:
        return api.Histogram(edges=edges.tolist(), series={"all": _counts(projection, edges)})
    right = (said[:, positions] == row.label).mean(axis=0) > 0.5
    series = {"right": _counts(projection[right], edges), "wrong": _counts(projection[~right], edges)}
    return api.Histogram(edges=edges.tolist(), series=series)


def edges_through_zero(values: NDArray[np.floating], bins: int) -> NDArray[np.float64]:
    """About `bins` equal bins over the values, one edge at 0; float64 (n + 1,)."""
    low, high = min(float(values.min(initial=0.0)), 0.0), max(float(values.max(initial=0.0)), 0.0)
    width = (high - low) / bins or 1.0
    return width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)


def _counts(values: NDArray[np.floating], edges: NDArray[np.float64]) -> list[int]:
    found: list[int] = np.histogram(values, bins=edges)[0].tolist()
    return found
