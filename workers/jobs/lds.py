"""LDS: one model trained on a random half a step, then what the attribution says of every half against what came out.

The halves and their margins are stored by content: a job that is run again, one with more subsets, and one about
another attribution of the same model find those that are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.store import attributions, fidelity, projects, tables
from backend.store.artifacts import content_id
from unskew.attribution import Attribution
from unskew.evaluation import half_subsets, mean_lds
from unskew.models import build
from unskew.schemas import api
from unskew.schemas.enums import Method, Split
from unskew.schemas.params import LdsParams, ModelSpec, TrainParams
from unskew.training import TRAINING_VERSION, margins, train
from workers.context import Context, Step
from workers.runs import project_data, recipe_of

ROWS_AT_ONCE = 2_000


def plan(context: Context) -> list[Step]:
    params = _params(context)
    halves: list[Step] = [
        {"title": f"half {j + 1} of {params.n_subsets}, seed {seed}", "subset": j, "seed": seed, "beside": True}
        for j in range(params.n_subsets)
        for seed in params.seeds
    ]
    return [*halves, {"title": "compare with the attribution"}]


def run(context: Context, step: Step) -> dict[str, Any]:
    return _half(context, step["subset"], step["seed"]) if "subset" in step else _compare(context)


def _half(context: Context, subset: int, seed: int) -> dict[str, Any]:
    """Train on one half and store the margins of the validation examples."""
    artifacts, number = context.store.artifacts, _half_id(context, subset, seed)
    if artifacts.exists(fidelity.HALVES, number):
        context.log("already there")
    else:
        data = project_data(context.store, context.project().id)
        model, recipe = _recipe(context)
        result = train(
            Method.ERM,
            data,
            model=model,
            seed=seed,
            keep=np.flatnonzero(half_subsets(len(data.train), subset + 1, _params(context).subset_seed)[subset]),
            params=recipe,
            on_epoch=lambda epoch, _: context.progress(epoch, recipe.epochs),
            should_stop=context.should_stop,
            state_path=context.scratch / number,
            device=context.device,
        )
        network = build(model, n_classes=len(data.class_names), shape=data.shape, seed=seed)
        network.load_state_dict(result.state)
        network.to(context.device)
        found = margins(network, data.validation.inputs, data.validation.label, device=context.device)
        artifacts.make(fidelity.HALVES, number, lambda folder: np.save(folder / fidelity.MARGINS, found))
    with context.store.session() as session:
        artifacts.write(session, fidelity.HALVES, number, _already_made)
    return {}


def _half_id(context: Context, subset: int, seed: int) -> str:
    project = context.project()
    model, recipe = _recipe(context)
    return content_id(
        kind=fidelity.HALVES,
        data=project.fingerprint,
        model=model.model_dump(mode="json"),
        train=recipe.model_dump(mode="json"),
        subset=[_params(context).subset_seed, subset],
        seed=seed,
        version=TRAINING_VERSION,
    )


def _compare(context: Context) -> dict[str, Any]:
    params, row, artifacts = _params(context), _attribution(context), context.store.artifacts
    settings = params.model_dump(mode="json", exclude={"attribution_id"})
    key = content_id(attribution=row.key, settings=settings, version=TRAINING_VERSION)
    with context.store.read() as session:
        found = fidelity.find(session, key)
        label = projects.labels(session, row.project_id, Split.VALIDATION)
    if found is not None:
        return {"lds_id": found.id}

    def measured(subset: int) -> NDArray[np.float64]:
        numbers = [_half_id(context, subset, seed) for seed in params.seeds]
        each = [artifacts.load(fidelity.HALVES, number, fidelity.MARGINS) for number in numbers]
        return np.asarray(np.mean(each, axis=0, dtype=np.float64))

    margin = np.stack([measured(j) for j in range(params.n_subsets)])  # (n_subsets, n_targets)
    attribution = Attribution.load(artifacts.path(attributions.ATTRIBUTION, row.artifact))
    subsets = half_subsets(attribution.n_train, params.n_subsets, params.subset_seed)
    predicted = np.zeros_like(margin)
    for start in range(0, attribution.n_train, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        predicted += subsets[:, rows].astype(np.float64) @ attribution.tau(train=rows).astype(np.float64)
    names = context.project().class_names
    result = api.LdsResult(
        mean=mean_lds(predicted, margin),
        by_class=[
            api.ClassLds(label=c, name=name, mean=mean_lds(predicted[:, label == c], margin[:, label == c]))
            for c, name in enumerate(names)
            if (label == c).any()
        ],
    )
    made = tables.Fidelity(
        attribution_id=row.id, key=key, params=params.model_dump(mode="json"), result=result.model_dump(mode="json")
    )
    with context.store.session() as session:
        session.add(made)
        session.flush()
        return {"lds_id": made.id}


def _params(context: Context) -> LdsParams:
    assert isinstance(context.params, LdsParams)
    return context.params


def _attribution(context: Context) -> tables.Attribution:
    assert context.project_id is not None
    with context.store.read() as session:
        row = attributions.chosen(session, context.project_id, _params(context).attribution_id)
    return row


def _recipe(context: Context) -> tuple[ModelSpec, TrainParams]:
    """As the attributed runs were trained; scores from a file name none, and are held against the project's own."""
    return recipe_of(context.store, context.project().id, _attribution(context).run_ids or None)


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")
