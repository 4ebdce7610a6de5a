"""Directions: one class a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend.store import attributions, projects, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution, ClassDirections
from unskew.discovery import evidence, majority_right
from unskew.schemas.enums import DirectionKind, Split
from unskew.schemas.params import DiscoverParams
from workers.context import Context, Step

DISCOVERY_VERSION = 1


def plan(context: Context) -> list[Step]:
    return [
        {"title": f"directions of {name}", "label": label} for label, name in enumerate(context.project().class_names)
    ]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, DiscoverParams) and context.project_id is not None
    with context.store.read() as session:
        row = attributions.chosen(session, context.project_id, params.attribution_id)
        target_label = projects.labels(session, context.project_id, Split.VALIDATION)
        train_label = projects.labels(session, context.project_id, Split.TRAIN)
        key = content_id(
            attribution=row.key,
            settings=params.model_dump(mode="json", exclude={"attribution_id"}),
            version=DISCOVERY_VERSION,
        )
        known = [d for d in attributions.directions(session, row.id, step["label"]) if d.key == key]
    if known or not (target_label == step["label"]).any():
        return {"attribution_id": row.id}
    attribution = Attribution.load(context.store.artifacts.path(attributions.ATTRIBUTION, row.artifact))
    found = attribution.directions(
        target_label, train_label, params, classes=[step["label"]], on_step=context.progress
    )[0]
    number = content_id(directions=key, label=step["label"])
    if not context.store.artifacts.exists(attributions.DIRECTIONS, number):
        context.store.artifacts.make(attributions.DIRECTIONS, number, lambda folder: _save(folder, found, train_label))
    _store(context, row.id, key, number, found, attribution, n_classes=len(context.project().class_names))
    return {"attribution_id": row.id}


def _save(folder: Path, found: ClassDirections, train_label: np.ndarray) -> None:
    """Values and their orders: a page of a strip is a slice of an order."""
    own = np.flatnonzero(train_label == found.label)
    np.save(folder / "positions.npy", found.positions)
    np.save(folder / "projections.npy", found.projections)
    np.save(folder / "loadings.npy", found.loadings)
    np.save(folder / "validation_order.npy", np.argsort(found.projections, axis=1, kind="stable"))
    np.save(folder / "training_order.npy", own[np.argsort(found.loadings[:, own], axis=1, kind="stable")])


def _store(
    context: Context,
    attribution_id: int,
    key: str,
    number: str,
    found: ClassDirections,
    attribution: Attribution,
    n_classes: int,
) -> None:
    params = context.params
    label = np.full(len(found.positions), found.label)
    right = majority_right(attribution.target_prediction[:, found.positions], label)
    n_looked_at = len(found.projections) * n_classes
    with context.store.session() as session:
        context.store.artifacts.write(session, attributions.DIRECTIONS, number, _already_made)
        for index, projection in enumerate(found.projections):
            made = evidence(projection, right, attribution.target_loss[found.positions], n_looked_at=n_looked_at)
            session.add(
                tables.Direction(
                    attribution_id=attribution_id,
                    key=key,
                    label=found.label,
                    index=index,
                    kind=DirectionKind.PRINCIPAL,
                    share=float(found.shares[index]),
                    scree=[float(share) for share in found.scree],
                    params=params.model_dump(mode="json"),
                    evidence=made.model_dump(mode="json"),
                    artifact=number,
                )
            )


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")
