"""Attribution: features of one checkpoint on one split a step, then the solve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from backend.store import attributions, projects, runs, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution, Features, featurize, featurize_exact
from unskew.models import build, load_state
from unskew.schemas.enums import Engine, Split
from unskew.schemas.params import AttributeParams, ModelSpec
from workers.context import Context, Step
from workers.runs import project_data

SPLITS = (Split.TRAIN, Split.VALIDATION)
FEATURES_VERSION = 1  # rises with every change that changes features


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, AttributeParams) and context.project_id is not None
    with context.store.read() as session:
        found = runs.erm_runs(session, context.project_id, params.run_ids)
    steps: list[Step] = [
        {"title": f"features of {split.value}, checkpoint {run.seed}", "run_id": run.id, "split": split.value}
        for run in found
        for split in SPLITS
    ]
    return [*steps, {"title": "solve", "run_ids": [run.id for run in found]}]


def run(context: Context, step: Step) -> dict[str, Any]:
    return (
        _solve(context, step["run_ids"])
        if "run_ids" in step
        else _features(context, step["run_id"], Split(step["split"]))
    )


def _features(context: Context, run_id: int, split: Split) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, AttributeParams) and context.project_id is not None
    artifacts, project = context.store.artifacts, context.project()
    with context.store.read() as session:
        row = session.get_one(tables.Run, run_id)
    number = _features_id(params, row, split)
    if artifacts.exists(attributions.FEATURES, number):
        context.log("already there")
    else:
        model = build(
            ModelSpec.model_validate(row.params["model"]),
            n_classes=len(project.class_names),
            shape=projects.shape(project),
            seed=row.seed,
        )
        assert row.checkpoint is not None
        model.load_state_dict(load_state(artifacts.path(runs.CHECKPOINT, row.checkpoint, runs.CHECKPOINT_FILE)))
        model.to(context.device)
        data = project_data(context.store, context.project_id)
        arrays = data.train if split is Split.TRAIN else data.validation
        common: dict[str, Any] = {
            "params": params,
            "device": context.device,
            "on_step": context.progress,
            "should_stop": context.should_stop,
        }
        if params.engine is Engine.EXACT:
            found = featurize_exact(model, arrays.inputs, arrays.label, **common)
        else:
            found = featurize(model, arrays.inputs, arrays.label, seed=params.seed + row.seed, **common)
        artifacts.make(attributions.FEATURES, number, found.save)
    with context.store.session() as session:
        artifacts.write(session, attributions.FEATURES, number, _already_made)
    return {}


def _features_id(params: AttributeParams, row: tables.Run, split: Split) -> str:
    settings = params.model_dump(mode="json", include={"engine", "projection_in", "projection_out", "seed"})
    return content_id(run=row.key, split=split, settings=settings, version=FEATURES_VERSION)


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")


def _solve(context: Context, run_ids: list[int]) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, AttributeParams) and context.project_id is not None
    artifacts, project, started = context.store.artifacts, context.project(), time.monotonic()
    with context.store.read() as session:
        rows = [session.get_one(tables.Run, run_id) for run_id in run_ids]
    settings = params.model_dump(mode="json", exclude={"run_ids", "batch_size"})
    key = content_id(project=project.id, runs=[row.key for row in rows], settings=settings, version=FEATURES_VERSION)
    with context.store.read() as session:
        found = attributions.find(session, key)
    if found is not None:
        return {"attribution_id": found.id}

    def load(split: Split) -> list[Features]:
        return [_load(context, _features_id(params, row, split)) for row in rows]

    result = Attribution.from_features(load(Split.TRAIN), load(Split.VALIDATION), damping=params.damping)
    if not artifacts.exists(attributions.ATTRIBUTION, key):
        artifacts.make(attributions.ATTRIBUTION, key, result.save)
    diagnostics = result.diagnostics | {"solve_seconds": round(time.monotonic() - started, 2)}
    with context.store.session() as session:
        artifacts.write(session, attributions.ATTRIBUTION, key, _already_made)
        row = tables.Attribution(
            project_id=project.id,
            key=key,
            run_ids=run_ids,
            params=params.model_dump(mode="json"),
            n_train=result.n_train,
            n_targets=result.n_targets,
            projection_dim=int(load(Split.VALIDATION)[0].phi.shape[1]),
            diagnostics=diagnostics,
            artifact=key,
        )
        session.add(row)
        session.flush()
        return {"attribution_id": row.id}


def _load(context: Context, number: str) -> Features:
    return Features.load(context.store.artifacts.path(attributions.FEATURES, number))
