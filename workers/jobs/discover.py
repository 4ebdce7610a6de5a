"""Directions: what all classes' errors have in common, properties of the images, then one class a step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend.store import attributions, projects, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution, ClassDirections
from unskew.discovery import Errors, differences, evidence, image_properties, tellers
from unskew.evaluation import majority_right
from unskew.schemas.api import Interval
from unskew.schemas.enums import DataKind, Split
from unskew.schemas.params import DiscoverParams
from workers.context import Context, Step
from workers.runs import project_data

DISCOVERY_VERSION = 5  # rises with every change that changes directions or their evidence


def plan(context: Context) -> list[Step]:
    classes = context.project().class_names
    return [
        {"title": "what the errors have in common", "do": "errors"},
        {"title": "properties of the images", "do": "properties"},
        *({"title": f"directions of {name}", "label": label, "beside": True} for label, name in enumerate(classes)),
    ]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, DiscoverParams) and context.project_id is not None
    if step.get("do") == "properties":
        _properties(context)
        return {}
    with context.store.read() as session:
        row = attributions.chosen(session, context.project_id, params.attribution_id)
        target_label = projects.labels(session, context.project_id, Split.VALIDATION)
        train_label = projects.labels(session, context.project_id, Split.TRAIN)
    attribution = Attribution.load(context.store.artifacts.path(attributions.ATTRIBUTION, row.artifact))
    if step.get("do") == "errors":
        _errors(context, attribution, target_label)
        return {"attribution_id": row.id}
    key = content_id(
        attribution=row.key,
        settings=params.model_dump(mode="json", exclude={"attribution_id"}),
        version=DISCOVERY_VERSION,
    )
    with context.store.read() as session:
        known = [d for d in attributions.directions(session, row.id, step["label"]) if d.key == key]
    if known or not (target_label == step["label"]).any():
        return {"attribution_id": row.id}
    found = attribution.directions(
        target_label,
        train_label,
        params,
        classes=[step["label"]],
        errors=_errors(context, attribution, target_label),
        on_step=context.progress,
    )[0]
    number = content_id(directions=key, label=step["label"])
    if not context.store.artifacts.exists(attributions.DIRECTIONS, number):
        context.store.artifacts.make(attributions.DIRECTIONS, number, lambda folder: _save(folder, found, train_label))
    _store(context, row.id, key, number, found, attribution)
    return {"attribution_id": row.id}


def _errors(context: Context, attribution: Attribution, target_label: np.ndarray) -> Errors | None:
    """Made once a job, and again where the scratch folder was lost."""
    params = context.params
    assert isinstance(params, DiscoverParams)

    def make() -> dict[str, np.ndarray | None]:
        found = attribution.errors(target_label, params)
        if found is None:
            return {}
        alike = [[c, a.value, a.low, a.high, a.n] for c, a in found.alike.items() if a is not None]
        return {"axis": found.axis, "alike": np.array(alike, dtype=np.float64).reshape(-1, 5)}

    kept = _kept(context.scratch / "errors.npz", make)
    if not kept:
        return None
    alike = {int(c): Interval(value=v, low=low, high=high, n=int(n)) for c, v, low, high, n in kept["alike"].tolist()}
    return Errors(kept["axis"], dict(alike))


def _properties(context: Context) -> dict[str, np.ndarray]:
    """Of the validation images: "region/property" → (n,). Nothing of texts and tables."""
    assert context.project_id is not None
    inputs = project_data(context.store, context.project_id).validation.inputs

    def measure() -> dict[str, np.ndarray | None]:
        if inputs.ndim < 4:
            return {}
        return {"/".join(key): values for key, values in image_properties(inputs, context.progress).items()}

    return _kept(context.scratch / "properties.npz", measure)


def _kept(file: Path, make: Callable[[], dict[str, np.ndarray | None]]) -> dict[str, np.ndarray]:
    """Arrays that the job's later steps need, made once; None is left out."""
    if not file.exists():
        made = {name: array for name, array in make().items() if array is not None}
        temporary = file.with_name(f"{file.stem}.part-{os.getpid()}.npz")  # another worker may be making it too
        np.savez(temporary, **made)  # type: ignore[arg-type]
        temporary.replace(file)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


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
) -> None:
    params, n_classes = context.params, len(context.project().class_names)
    label = np.full(len(found.positions), found.label)
    said = attribution.target_prediction[:, found.positions]
    right = majority_right(said, label) if len(said) else None  # an imported matrix may come without
    n_looked_at = len(found.projections) * n_classes
    may_tell = _what_may_tell(context, found.positions)
    with context.store.session() as session:
        context.store.artifacts.write(session, attributions.DIRECTIONS, number, _already_made)
        for index, projection in enumerate(found.projections):
            loss = attribution.target_loss[found.positions]
            made = evidence(
                projection,
                right,
                loss,
                alike=found.alike,
                n_rivals=found.n_rivals,
                n_looked_at=n_looked_at,
            )
            made = made.model_copy(update={"differences": differences(projection, may_tell)})
            session.add(
                tables.Direction(
                    attribution_id=attribution_id,
                    key=key,
                    label=found.label,
                    index=index,
                    kind=found.kinds[index],
                    share=float(found.shares[index]),
                    scree=[float(share) for share in found.scree],
                    params=params.model_dump(mode="json"),
                    evidence=made.model_dump(mode="json"),
                    artifact=number,
                )
            )


def _what_may_tell(context: Context, positions: np.ndarray) -> list[tellers.Teller]:
    """Of some validation examples: attributes, properties of images, words of texts, columns of tables."""
    assert context.project_id is not None
    project = context.project()
    names = tuple(project.attributes)
    data = project_data(context.store, context.project_id, names)
    found = tellers.of_attributes({name: column[positions] for name, column in data.validation.attributes.items()})
    if data.shape.kind is DataKind.IMAGE:
        measured = {tuple(name.split("/")): values[positions] for name, values in _properties(context).items()}
        return found + tellers.of_images({(region, name): values for (region, name), values in measured.items()})
    with context.store.read() as session:
        contents = projects.contents(session, project.id, Split.VALIDATION)
    own = [contents[i] for i in positions]
    if data.shape.kind is DataKind.TEXT:
        return found + tellers.of_texts(own)
    return found + tellers.of_rows(own, without=names)


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")
