"""Examples as bodies: pages of them, and what the attributed checkpoints say about the validation examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.store import attributions, pages, runs, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import NotFoundError
from unskew.groups import sorted_names
from unskew.schemas import api
from unskew.schemas.enums import DataKind, Split


def get(store: Store, slug: str, example_id: int) -> api.Example:
    with store.read() as session:
        project = project_store.get(session, slug)
        return bodies(store, session, project, [pages.one(session, project.id, example_id)])[0]


def some(store: Store, slug: str, example_ids: Sequence[int]) -> list[api.Example]:
    """These examples in this order.

    Raises:
        NotFoundError: one is not in this project.
    """
    with store.read() as session:
        project = project_store.get(session, slug)
        found = pages.by_id(session, project.id, example_ids)
        missing = [i for i in example_ids if i not in found]
        if missing:
            raise NotFoundError(f"There is no example {missing[0]} in this project.")
        return bodies(store, session, project, [found[i] for i in example_ids])


def at(
    store: Store,
    session: Session,
    project: tables.Project,
    split: Split,
    positions: NDArray[np.integer],
    values: NDArray[np.floating] | None = None,
) -> list[api.Example]:
    """Examples at these positions in this order, each with its value."""
    return bodies(store, session, project, pages.by_position(session, project.id, split, positions.tolist()), values)


def bodies(
    store: Store,
    session: Session,
    project: tables.Project,
    rows: Sequence[pages.Row],
    values: NDArray[np.floating] | None = None,
) -> list[api.Example]:
    """Rows as bodies; validation examples carry what the attributed checkpoints predict."""
    inside = [row.position for row in rows if row.split is Split.VALIDATION]
    said = votes(store, session, project.id) if inside else None
    seen: dict[int, tuple[int, float]] = {}
    if said is not None:
        label = np.array([row.label for row in rows if row.split is Split.VALIDATION])
        majority, share = vote(said[:, inside], label, len(project.class_names))
        seen = {p: (int(m), float(s)) for p, m, s in zip(inside, majority, share, strict=True)}
    kind, made = project_store.shape(project).kind, []
    for i, row in enumerate(rows):
        prediction, share_right = (
            seen.get(row.position, (None, None)) if row.split is Split.VALIDATION else (None, None)
        )
        made.append(
            api.Example(
                id=row.id,
                split=row.split,
                position=row.position,
                label=row.label,
                label_name=project.class_names[row.label],
                path=row.path,
                text=row.content if kind is DataKind.TEXT else None,
                columns=json.loads(row.content) if row.content is not None and kind is DataKind.TABLE else None,
                attributes=row.attributes,
                prediction=prediction,
                correct_share=share_right,
                value=None if values is None else float(values[i]),
            )
        )
    return made


def votes(store: Store, session: Session, project_id: int) -> NDArray[np.int64] | None:
    """What each attributed checkpoint predicts on validation, int64 (n_checkpoints, n_validation).

    Of the newest attribution; before there is one, of every ERM run; None when there is none either.
    """
    imported, artifacts = _voters(session, project_id)
    if imported:  # τ came from elsewhere, perhaps with what its checkpoints predict
        said = store.artifacts.load(attributions.ATTRIBUTION, artifacts[0], "target_prediction.npy")
        return said if len(said) else None
    return _stacked(store, artifacts) if artifacts else None


def right(store: Store, project: tables.Project, said: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether at least half of the checkpoints are right on each validation example; bool (n_validation,)."""
    found: NDArray[np.bool_] = (said == labels(store, project, Split.VALIDATION)).mean(axis=0) >= 0.5
    return found


def voters(session: Session, project_id: int) -> tuple[str, ...]:
    """Artifacts of the predictions that vote; what depends on the votes depends on these."""
    return _voters(session, project_id)[1]


def _voters(session: Session, project_id: int) -> tuple[bool, tuple[str, ...]]:
    """Whether the newest attribution was imported, and then its artifact, else those of the runs' predictions."""
    run_ids, artifact = attributions.newest(session, project_id) or (None, "")
    if artifact and not run_ids:
        return True, (artifact,)
    return False, tuple(runs.erm_predictions(session, project_id, run_ids))


@lru_cache(maxsize=32)
def _stacked(store: Store, artifacts: tuple[str, ...]) -> NDArray[np.int64]:
    name = f"prediction_{Split.VALIDATION.value}.npy"
    return np.stack([store.artifacts.load(runs.PREDICTIONS, a, name, mmap=False) for a in artifacts])


def vote(
    predictions: NDArray[np.int64], label: NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Majority class (the smaller one of a tie) and share of the checkpoints that are right; both (n,)."""
    ballots = (predictions[None] == np.arange(n_classes)[:, None, None]).sum(axis=1)  # (n_classes, n)
    return ballots.argmax(axis=0), (predictions == label).mean(axis=0)


@lru_cache(maxsize=32)
def _labels(store: Store, project_id: int, split: Split, fingerprint: str) -> NDArray[np.int64]:
    with store.read() as session:
        found = project_store.labels(session, project_id, split)
    found.setflags(write=False)
    return found


def labels(store: Store, project: tables.Project, split: Split) -> NDArray[np.int64]:
    """Class of every example of a split, int64 (n,); read once, since rows never change."""
    return _labels(store, project.id, split, project.fingerprint)


@lru_cache(maxsize=32)
def _attribute(store: Store, project_id: int, split: Split, name: str, fingerprint: str) -> NDArray[np.str_]:
    with store.read() as session:
        found = project_store.attribute(session, project_id, split, name)
    found.setflags(write=False)
    return found


@dataclass(frozen=True)
class Coded:
    """An attribute as numbers.

    Attributes:
        values: in the order that people expect, "" (missing) last where it occurs.
        code: unsigned (n,), index into values.
    """

    values: tuple[str, ...]
    code: NDArray[np.unsignedinteger]


@lru_cache(maxsize=256)  # small: an example takes one byte, where its value as text takes dozens
def _coded(store: Store, project_id: int, split: Split, name: str, fingerprint: str) -> Coded:
    column = _attribute(store, project_id, split, name, fingerprint).tolist()
    found = set(column)
    values = (*sorted_names(found - {""}), *({""} & found))
    place = {value: i for i, value in enumerate(values)}
    code = np.fromiter((place[value] for value in column), dtype=np.min_scalar_type(len(values)), count=len(column))
    code.setflags(write=False)
    return Coded(values, code)


def coded(store: Store, project: tables.Project, split: Split, name: str) -> Coded:
    """An attribute of every example of a split as numbers, for counting; made once."""
    return _coded(store, project.id, split, name, project.fingerprint)


def attribute(store: Store, project: tables.Project, split: Split, name: str) -> NDArray[np.str_]:
    """An attribute of every example of a split, str (n,), "" = missing; read once, likewise."""
    return _attribute(store, project.id, split, name, project.fingerprint)
