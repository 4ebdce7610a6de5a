"""Examples that one run gets wrong and another right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import examples
from backend.services.projects import run_body
from backend.store import projects, runs, tables
from backend.store.db import Store
from unskew import evaluation
from unskew.errors import ConflictError, NotFoundError
from unskew.schemas import api
from unskew.schemas.enums import Split

SHOWN = 60


def flips(
    store: Store, slug: str, *, before_run: int, after_run: int, split: Split = Split.TEST, shown: int = SHOWN
) -> api.Flips:
    """Fixed and broken examples; each body's prediction is the after-run's."""
    with store.read() as session:
        project = projects.get(session, slug)
        before, after = (_run(session, project, number) for number in (before_run, after_run))
        label = examples.labels(store, project, split)
        if not len(label):
            raise ConflictError(f"This project has no {split.value} examples.", fix="Choose validation.")
        said = runs.predictions(store.artifacts, after, split).prediction
        was_right = runs.predictions(store.artifacts, before, split).prediction == label
        fixed, broken = np.flatnonzero(~was_right & (said == label)), np.flatnonzero(was_right & (said != label))

        def first(positions: NDArray[np.int64]) -> list[api.Example]:
            items = examples.at(store, session, project, split, positions[:shown])
            return [
                item.model_copy(update={"prediction": int(said[item.position]), "correct_share": None})
                for item in items
            ]

        return api.Flips(
            split=split,
            before=run_body(store, project, before),
            after=run_body(store, project, after),
            n_fixed=len(fixed),
            n_broken=len(broken),
            p_value=evaluation.mcnemar(len(fixed), len(broken)),
            fixed=first(fixed),
            broken=first(broken),
        )


def _run(session: Session, project: tables.Project, number: int) -> tables.Run:
    row = session.get(tables.Run, number)
    if row is None or row.project_id != project.id:
        raise NotFoundError(f"There is no run {number} in this project.")
    return row
