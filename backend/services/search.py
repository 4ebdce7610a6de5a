"""Removal curves: worst-group accuracy over K, from runs that are there already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from sqlalchemy.orm import Session

from backend.services import examples
from backend.services.views import View
from backend.store import groups, runs, scores, tables
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import Method, Split


def curve(store: Store, session: Session, project: tables.Project, row: tables.ScoreSet) -> list[api.CurveRow]:
    """What the search for K* saw: validation, over the groups that the score set was made with."""
    found: dict[str, list[int]] = row.search.get("run_ids", {})
    if not found:
        return []
    group = np.asarray(store.artifacts.load(scores.SCORES, row.artifact, "groups.npy"))
    names = groups.group_names(groups.get(session, row.group_set_id))
    seen = View(store, Split.VALIDATION, "", examples.labels(store, project, Split.VALIDATION), group, names)
    wanted = {run_id for ids in found.values() for run_id in ids}
    by_id = {run.id: run for run in runs.list_runs(session, project.id) if run.id in wanted}
    return rows(seen, Method(row.method), [by_id[i] for ids in found.values() for i in ids if i in by_id])


def rows(view: View, method: Method, found: Iterable[tables.Run]) -> list[api.CurveRow]:
    """One row a K, rising; K = 0 is ERM whatever the method."""
    by_k: dict[int, dict[int, tables.Run]] = defaultdict(dict)
    for run in found:
        by_k[run.removed][run.seed] = run
    made = []
    for k, by_seed in sorted(by_k.items()):
        summary = view.summary(list(by_seed.values()))
        made.append(
            api.CurveRow(
                k=k,
                method=method if k else Method.ERM,
                split=view.split,
                worst_group_accuracy=summary.worst_group_accuracy,
                balanced_accuracy=summary.balanced_accuracy,
                average_accuracy=summary.average_accuracy,
                seeds=sorted(by_seed),
            )
        )
    return made
