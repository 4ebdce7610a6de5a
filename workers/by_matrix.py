"""Engines that give the matrix whole: `traker`, and a user's own; with what our runs say of the targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.store import projects, runs, tables
from unskew.attribution import Attribution
from unskew.attribution.own import attribute_own
from unskew.attribution.traker_engine import attribute_traker
from unskew.models import build, load_state
from unskew.schemas.enums import Engine, Split
from unskew.schemas.params import AttributeParams, ModelSpec
from workers.context import Context
from workers.runs import project_data

PROJECTIONS = 2048  # traker's own default
DAMPING = 1.0  # relative; "auto" is a criterion on our own features


def makes_matrix(params: AttributeParams) -> bool:
    """Whether these parameters ask for an engine of this file, which goes through its rows by itself."""
    return params.engine is Engine.TRAKER or not isinstance(params.engine, Engine)


def by_matrix(context: Context, params: AttributeParams, rows: list[tables.Run]) -> Attribution:
    """Loss and predictions of the targets are those of the runs, averaged as for our other engines."""
    assert context.project_id is not None
    project, artifacts = context.project(), context.store.artifacts
    said = [runs.predictions(artifacts, row, Split.VALIDATION) for row in rows]
    data = project_data(context.store, context.project_id)
    model = build(
        ModelSpec.model_validate(rows[0].params["model"]),
        n_classes=len(project.class_names),
        shape=projects.shape(project),
        seed=0,
    )
    states = [load_state(artifacts.path(runs.CHECKPOINT, str(row.checkpoint), runs.CHECKPOINT_FILE)) for row in rows]
    train, targets = ((split.inputs, split.label) for split in (data.train, data.validation))
    common: dict[str, Any] = {
        "seed": params.seed,
        "device": context.device,
        "on_step": context.progress,
        "should_stop": context.should_stop,
    }
    if params.engine is Engine.TRAKER:
        found = attribute_traker(
            model.to(context.device),
            states,
            train,
            targets,
            folder=context.scratch / "traker",
            proj_dim=params.projection_dim or PROJECTIONS,
            damping=DAMPING if params.damping == "auto" else params.damping,
            **common,
        )
    else:
        found = attribute_own(params.engine, model, states, train, targets, **common)
    found.target_loss = np.asarray(np.mean([p.loss for p in said], axis=0, dtype=np.float64), dtype=np.float32)
    found.target_prediction = np.stack([p.prediction for p in said])
    return found
