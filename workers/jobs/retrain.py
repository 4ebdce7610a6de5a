"""Methods × seeds, controls included: one step a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.store import prunes, scores, tables
from unskew.pruning import random_removed
from unskew.schemas.enums import Method
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import RetrainParams
from workers.context import Context, Step
from workers.runs import Wanted, ensure, project_data, recipe_of


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, RetrainParams)
    return [
        {"title": f"{method.value}, seed {seed}", "method": method.value, "seed": seed}
        for method in dict.fromkeys(params.methods)
        for seed in dict.fromkeys(params.seeds)
    ]


def run(context: Context, step: Step) -> dict[str, Any]:
    wanted = _wanted(context, Method(step["method"]), step["seed"])
    return {f"run_{step['method']}_{step['seed']}": ensure(context, wanted)}


def _wanted(context: Context, method: Method, seed: int) -> Wanted:
    params = context.params
    assert isinstance(params, RetrainParams) and context.project_id is not None
    if not RECIPES[method].prunes:
        model, train = recipe_of(context.store, context.project_id)
        attribute = params.group_attribute if RECIPES[method].subsamples else None
        return Wanted(method, seed, model, train, attribute=attribute, keep_checkpoint=method is Method.ERM)
    assert params.prune_set_id is not None, "the pipeline asked for one"
    with context.store.read() as session:
        prune_set = prunes.get(session, params.prune_set_id)
        score_set = scores.get(session, prune_set.score_set_id)
        run_ids = session.get_one(tables.Attribution, score_set.attribution_id).run_ids
    model, train = recipe_of(context.store, context.project_id, run_ids)
    if method is Method.RANDOM_K:
        n_train = len(project_data(context.store, context.project_id).train)
        return Wanted(
            method, seed, model, train, removed=random_removed(n_train, prune_set.k, seed), prune_set_id=prune_set.id
        )
    dropped = np.asarray(context.store.artifacts.load(prunes.PRUNES, prune_set.artifact, "removed.npy"))
    return Wanted(
        method,
        seed,
        model,
        train,
        removed=dropped,
        score_set_id=score_set.id,
        score_key=score_set.key,
        prune_set_id=prune_set.id,
    )
