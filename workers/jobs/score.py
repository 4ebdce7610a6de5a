"""T of every training example under one group set: one step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.store import attributions, groups, projects, scores, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution
from unskew.errors import SettingsError
from unskew.evaluation import mean_by_group
from unskew.groups import counts
from unskew.pruning import group_weights, heuristic_k
from unskew.schemas import api
from unskew.schemas.enums import GroupSource, Method, Split
from unskew.schemas.params import ScoreParams
from workers.context import Context, Step

BINS = 60


def plan(context: Context) -> list[Step]:
    return [{"title": "score every training example"}]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, ScoreParams) and context.project_id is not None
    with context.store.read() as session:
        row = attributions.chosen(session, context.project_id, params.attribution_id)
        given = groups.assignment(session, params.group_set_id)
        train_label = projects.labels(session, context.project_id, Split.TRAIN)
    given = _of_class(given, params.label, context.project().class_names)
    digest = content_id(groups=given.group.tolist())
    key = content_id(attribution=row.key, group_set=params.group_set_id, groups=digest, rule=params.weight_rule)
    with context.store.read() as session:
        found = scores.find(session, key)
    if found is not None:
        return {"score_set_id": found.id}
    attribution = Attribution.load(context.store.artifacts.path(attributions.ATTRIBUTION, row.artifact))
    n_groups, loss = len(given.names), attribution.target_loss
    weights = group_weights(loss, given.group, n_groups, params.weight_rule)
    alignment = attribution.alignment(given.group, weights)
    mean_loss, n = mean_by_group(loss, given.group, n_groups), counts(given.group, n_groups)
    shown = [
        api.GroupWeight(group=g, name=given.names[g], n=int(n[g]), loss=float(mean_loss[g]), weight=float(weights[g]))
        for g in range(n_groups)
        if n[g]
    ]
    if not context.store.artifacts.exists(scores.SCORES, key):
        context.store.artifacts.make(scores.SCORES, key, lambda folder: _save(folder, alignment, given.group))
    made = tables.ScoreSet(
        project_id=context.project_id,
        attribution_id=row.id,
        group_set_id=params.group_set_id,
        group_set_version=given.version,
        key=key,
        method=_method(given),
        weight_rule=params.weight_rule,
        weights=[weight.model_dump(mode="json") for weight in shown],
        histogram=histogram(alignment, train_label, context.project().class_names).model_dump(mode="json"),
        star=heuristic_k(alignment),
        artifact=key,
    )
    with context.store.session() as session:
        context.store.artifacts.write(session, scores.SCORES, key, _already_made)
        session.add(made)
        session.flush()
        return {"score_set_id": made.id}


def _of_class(given: groups.Assignment, label: int | None, class_names: list[str]) -> groups.Assignment:
    """The groups of one class only, where one class is to be debiased (the paper's ImageNet case)."""
    if label is None:
        return given
    group = np.where(given.group // given.n_per_class == label, given.group, -1)
    if label >= len(class_names) or not (group >= 0).any():
        raise SettingsError(
            f"Class {label} has no group in this set.", fix=f"Classes run from 0 to {len(class_names) - 1}."
        )
    return replace(given, group=group)


def _method(given: groups.Assignment) -> Method:
    """What pruning by these scores is called: it depends on the labels that the groups rest on."""
    if given.source is not GroupSource.PSEUDO:
        return Method.TRAK
    return Method.AUTO_TRAK if given.from_directions else Method.LOSS_TRAK


def _save(folder: Path, alignment: NDArray[np.float64], group: NDArray[np.int64]) -> None:
    np.save(folder / "alignment.npy", alignment)
    np.save(folder / "order.npy", np.argsort(alignment, kind="stable"))
    np.save(folder / "groups.npy", group)


def histogram(alignment: NDArray[np.float64], label: NDArray[np.int64], class_names: list[str]) -> api.Histogram:
    """T by class over common bins; 0 is an edge, so that the bars left of it are exactly T < 0.

    Bins are equally wide in the cube root of T, whose tails are a thousand times longer than its bulk (demo: median
    |T| 4e-6, largest 4e-3), so that equal bins would put nine tenths of the examples into the two around 0.
    """
    low, high = float(np.cbrt(min(alignment.min(), 0.0))), float(np.cbrt(max(alignment.max(), 0.0)))
    width = (high - low) / BINS or 1.0
    edges = (width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)) ** 3
    edges[0], edges[-1] = min(edges[0], alignment.min()), max(edges[-1], alignment.max())  # rounding of the cube
    series = {name: np.histogram(alignment[label == c], bins=edges)[0].tolist() for c, name in enumerate(class_names)}
    return api.Histogram(edges=edges.tolist(), series=series)


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")
