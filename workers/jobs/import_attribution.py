"""Somebody else's scores: a matrix τ that was computed elsewhere becomes the project's attribution. One step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from backend.store import attributions, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution
from unskew.attribution.imported import matrix_file, read_array, read_matrix
from unskew.schemas.enums import Engine, Orientation
from unskew.schemas.params import ImportAttributionParams
from workers.context import Context, Step
from workers.quality import proxies_of
from workers.runs import project_data


def plan(context: Context) -> list[Step]:
    return [{"title": "read the matrix"}]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, ImportAttributionParams) and context.project_id is not None
    data = project_data(context.store, context.project_id)
    file = matrix_file(Path(params.matrix))
    orientation = Orientation.TRAIN_BY_TARGET if Path(params.matrix).is_dir() else params.orientation
    tau = read_matrix(file, orientation, n_train=len(data.train), n_targets=len(data.validation))
    result = Attribution.from_matrix(
        tau,
        target_loss=None if params.target_loss is None else read_array(Path(params.target_loss)),
        target_prediction=None if params.target_prediction is None else read_array(Path(params.target_prediction)),
        diagnostics={"matrix": Path(params.matrix).name, "orientation": orientation.value},
    )
    context.log(f"τ of {len(data.train):,} training × {len(data.validation):,} validation examples")
    project = context.project()
    digests = [_digest(one) for one in (str(file), params.target_loss, params.target_prediction)]
    key = content_id(project=project.id, matrix=digests, orientation=orientation)
    with context.store.session() as session:
        found = attributions.find(session, key)
        if found is not None:
            return {"attribution_id": found.id}
        context.store.artifacts.write(session, attributions.ATTRIBUTION, key, result.save)
        row = tables.Attribution(
            project_id=project.id,
            key=key,
            run_ids=[],
            params={"engine": Engine.IMPORT, **params.model_dump(mode="json")},
            n_train=result.n_train,
            n_targets=result.n_targets,
            projection_dim=0,
            diagnostics=result.diagnostics | {attributions.PROXIES: proxies_of(context, result)},
            artifact=key,
        )
        session.add(row)
        session.flush()
        return {"attribution_id": row.id}


def _digest(path: str | None) -> str:
    if path is None:
        return ""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
