"""What each group is taken for: shares of predicted classes, averaged over runs."""

from __future__ import annotations

import numpy as np

from backend.services.views import view
from backend.store import projects, runs, tables
from backend.store.db import Store
from unskew.errors import NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

MAX_RUNS = 50


def confusion(
    store: Store,
    slug: str,
    *,
    run_ids: list[int],
    split: Split = Split.VALIDATION,
    attribute: str | None = None,
    group_set_id: int | None = None,
) -> api.Confusion:
    """Rows = groups (a group lies inside one class), columns = predicted classes.

    Raises:
        SettingsError: no run, or too many. NotFoundError: one is not of this project.
    """
    if not 0 < len(run_ids) <= MAX_RUNS:
        raise SettingsError(f"{len(run_ids)} runs are given.", fix=f"Give 1 to {MAX_RUNS}.")
    with store.read() as session:
        project = projects.get(session, slug)
        seen = view(store, session, project, split, attribute=attribute, group_set_id=group_set_id)
        n_classes, groups = len(project.class_names), [g for g in range(len(seen.names)) if (seen.group == g).any()]
        total = np.zeros((len(groups), n_classes))
        for number in run_ids:
            row = session.get(tables.Run, number)
            if row is None or row.project_id != project.id:
                raise NotFoundError(f"There is no run {number} in this project.")
            said = runs.predictions(store.artifacts, row, split).prediction
            for i, group in enumerate(groups):
                total[i] += np.bincount(said[seen.group == group], minlength=n_classes)
        n = [int((seen.group == group).sum()) for group in groups]
        return api.Confusion(
            split=split,
            grouping=seen.title,
            run_ids=run_ids,
            groups=[seen.names[g] for g in groups],
            labels=[int(seen.label[seen.group == g][0]) for g in groups],
            classes=project.class_names,
            n=n,
            share=(total / len(run_ids) / np.array(n)[:, None]).tolist(),
        )
