"""Go on with what a prune set left: a project like the one before, without those training rows, for the next round.

Nothing is read from the source again: rows, encoded inputs and attributes are the parent's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from backend.store import projects, prunes, tables
from backend.store.artifacts import content_id
from unskew.data import Examples
from unskew.errors import Stopped
from unskew.pruning import kept
from unskew.schemas.enums import Split
from unskew.schemas.params import ContinueParams, ImportParams, InputShape
from workers.context import Context, Step

ROWS_AT_ONCE = 4_096
INPUTS = f"{Split.TRAIN.value}.npy"
COPIED = (f"{Split.VALIDATION.value}.npy", f"{Split.TEST.value}.npy", "encoding.json")


def plan(context: Context) -> list[Step]:
    return [{"title": "copy what a model sees"}, {"title": "register", "register": True}]


def run(context: Context, step: Step) -> dict[str, Any]:
    return _register(context) if "register" in step else _copy(context)


def _left(context: Context) -> tuple[tables.PruneSet, np.ndarray]:
    """The prune set, and int64 positions of the training rows that stay."""
    params, project = context.params, context.project()
    assert isinstance(params, ContinueParams)
    with context.store.read() as session:
        row = prunes.get(session, params.prune_set_id)
        n = len(projects.labels(session, project.id, Split.TRAIN))
    removed = np.asarray(context.store.artifacts.load(prunes.PRUNES, row.artifact, prunes.REMOVED))
    return row, kept(n, removed)


def _copy(context: Context) -> dict[str, Any]:
    """The training rows that stay into the scratch folder; the other files are linked when the artifact is made."""
    _, left = _left(context)
    whole = context.store.artifacts.load(projects.INPUTS, str(context.project().inputs), INPUTS)
    made = np.lib.format.open_memmap(
        context.scratch / INPUTS, mode="w+", dtype=whole.dtype, shape=(len(left), *whole.shape[1:])
    )
    for start in range(0, len(left), ROWS_AT_ONCE):
        if context.should_stop():
            raise Stopped
        rows = left[start : start + ROWS_AT_ONCE]
        made[start : start + len(rows)] = whole[rows]
        context.progress(start + len(rows), len(left))
    made.flush()
    return {"n_train": len(left)}


def _register(context: Context) -> dict[str, Any]:
    params, parent, (row, left) = context.params, context.project(), _left(context)
    assert isinstance(params, ContinueParams)
    artifacts = context.store.artifacts
    with context.store.read() as session:
        whole = projects.examples(session, parent)
    fingerprint = content_id(kind="continued", of=parent.fingerprint, without=row.digest)
    examples = _without(whole, left, fingerprint)
    number = content_id(kind=projects.INPUTS, fingerprint=fingerprint, job=context.job_id)

    def write(folder: Path) -> None:
        os.link(context.scratch / INPUTS, folder / INPUTS)
        for name in COPIED:
            os.link(artifacts.path(projects.INPUTS, str(parent.inputs), name), folder / name)

    if not artifacts.exists(projects.INPUTS, number):
        artifacts.make(projects.INPUTS, number, write)
    with context.store.session() as session:
        found = next((p for p in projects.list_projects(session) if p.inputs == number), None)
        if found is None:
            artifacts.write(session, projects.INPUTS, number, write)
            fields = {name: value for name, value in parent.source.items() if name in ImportParams.model_fields}
            how = ImportParams.model_validate(fields | {"name": params.name})
            shape = InputShape.model_validate(parent.shape)
            found = projects.create_project(session, how, examples, shape, number)
            found.source = found.source | {"continues": parent.slug, "prune_set": row.id, "removed": row.k}
            rights = select(tables.Right).where(tables.Right.project_id == parent.id)
            for right in session.scalars(rights).all():  # whoever worked on the one before goes on
                session.add(tables.Right(user_id=right.user_id, project_id=found.id, role=right.role))
        return {"project": found.slug, "project_id": found.id}


def _without(whole: Examples, left: np.ndarray, fingerprint: str) -> Examples:
    """The examples with only these training positions, every other split as it is."""
    stay = whole.split != Split.TRAIN.value
    stay[whole.positions(Split.TRAIN)[left]] = True
    rows = np.flatnonzero(stay)

    def some(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(values[i] for i in rows) if values else ()

    return Examples(
        root=whole.root,
        class_names=whole.class_names,
        paths=some(whole.paths),
        label=whole.label[rows],
        split=whole.split[rows],
        attributes={name: values[rows] for name, values in whole.attributes.items()},
        content_hash=some(whole.content_hash),
        fingerprint=fingerprint,
        layout=whole.layout,
        kind=whole.kind,
        content=some(whole.content),
    )
