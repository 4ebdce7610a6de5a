"""Checkpoints of the user's own: checked against the model, evaluated, stored as ERM runs. One step a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from backend.store import projects, runs
from backend.store.artifacts import content_id
from unskew.models import build, check_fits, load_state, save_state
from unskew.schemas.enums import Method
from unskew.schemas.params import ImportCheckpointsParams
from unskew.training import predict
from workers.context import Context, Step
from workers.runs import Wanted, add, project_data


def plan(context: Context) -> list[Step]:
    """Every file is checked before the first is stored: all or nothing."""
    params = context.params
    assert isinstance(params, ImportCheckpointsParams)
    model = _model(context, params)
    for path in params.paths:
        check_fits(model, load_state(Path(path)), path)
    return [{"title": f"checkpoint {Path(path).name}", "path": path, "seed": i} for i, path in enumerate(params.paths)]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, ImportCheckpointsParams)
    started = time.monotonic()
    model, state = _model(context, params), load_state(Path(step["path"]))
    check_fits(model, state, step["path"])
    model.load_state_dict(state)
    model.to(context.device)
    assert context.project_id is not None
    data = project_data(context.store, context.project_id)
    validation = predict(model, data.validation.inputs, data.validation.label, device=torch.device(context.device))
    test = (
        None
        if data.test is None
        else predict(model, data.test.inputs, data.test.label, device=torch.device(context.device))
    )
    wanted = Wanted(Method.ERM, step["seed"], params.model, params.train, keep_checkpoint=True)
    key = content_id(project=context.project_id, imported=_digest(Path(step["path"])), settings=wanted.settings)
    checkpoint = content_id(run=key, what=runs.CHECKPOINT)
    context.store.artifacts.make(
        runs.CHECKPOINT, checkpoint, lambda folder: save_state(folder / runs.CHECKPOINT_FILE, state)
    )
    number = add(
        context,
        wanted,
        key,
        validation,
        test,
        checkpoint,
        n_train=len(data.train),
        n_all=len(data.train),
        seconds=time.monotonic() - started,
    )
    return {f"run_{step['seed']}": number}


def _model(context: Context, params: ImportCheckpointsParams) -> torch.nn.Module:
    project = context.project()
    return build(params.model, n_classes=len(project.class_names), shape=projects.shape(project), seed=0)


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
