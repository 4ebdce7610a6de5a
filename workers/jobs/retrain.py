"""Methods × seeds, controls included: one step a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.store import prunes, scores, tables
from unskew.pruning import random_removed
from unskew.schemas.enums import Method
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import RetrainParams, TrainParams
from workers.context import Context, Step
from workers.runs import Wanted, ensure, project_data, recipe_of


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, RetrainParams)
    return [
        {"title": f"{method.value}, seed {seed}", "method": method.value, "seed": seed, "beside": True}
        for method in dict.fromkeys(params.methods)
        for seed in dict.fromkeys(params.seeds)
    ]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, RetrainParams)
    method = Method(step["method"])
    score_set_id = params.score_set_id
    if RECIPES[method].discovered and score_set_id is None:
        with context.store.read() as session:
            score_set_id = scores.newest(session, context.project().id, Method.AUTO_TRAK).id
    found = wanted(
        context,
        method,
        step["seed"],
        prune_set_id=params.prune_set_id,
        score_set_id=score_set_id,
        attribute=params.group_attribute,
    )
    return {f"run_{step['method']}_{step['seed']}": ensure(context, found)}


def wanted(
    context: Context,
    method: Method,
    seed: int,
    *,
    prune_set_id: int | None = None,
    score_set_id: int | None = None,
    attribute: str | None = None,
    train: TrainParams | None = None,
) -> Wanted:
    """The run of a method: on what a prune set leaves, on a score set's pseudo-groups, or on a known attribute.

    Removing nothing is ERM, whatever the method: it is not trained twice. `train`: settings of a method that reads
    known groups or none; without them those of the ERM runs.
    """
    recipe, project_id = RECIPES[method], context.project().id
    if recipe.prunes:
        assert prune_set_id is not None, "the pipeline asked for one"
        return _pruned(context, method, seed, prune_set_id)
    if recipe.discovered:
        assert score_set_id is not None, "the pipeline asked for one"
        with context.store.read() as session:
            score_set = scores.get(session, score_set_id)
            run_ids = session.get_one(tables.Attribution, score_set.attribution_id).run_ids
        model, as_erm = recipe_of(context.store, project_id, run_ids)
        return Wanted(method, seed, model, as_erm, score_set_id=score_set.id, score_key=score_set.key, discovered=True)
    model, as_erm = recipe_of(context.store, project_id)
    known = attribute if recipe.reads_validation_groups else None
    return Wanted(method, seed, model, train or as_erm, attribute=known, keep_checkpoint=method is Method.ERM)


def _pruned(context: Context, method: Method, seed: int, prune_set_id: int) -> Wanted:
    with context.store.read() as session:
        prune_set = prunes.get(session, prune_set_id)
        score_set = scores.get(session, prune_set.score_set_id)
        run_ids = session.get_one(tables.Attribution, score_set.attribution_id).run_ids
    model, train = recipe_of(context.store, score_set.project_id, run_ids)
    if prune_set.k == 0:
        return Wanted(Method.ERM, seed, model, train, keep_checkpoint=True)
    if method is Method.RANDOM_K:
        n_train = len(project_data(context.store, score_set.project_id).train)
        return Wanted(
            method, seed, model, train, removed=random_removed(n_train, prune_set.k, seed), prune_set_id=prune_set.id
        )
    dropped = np.asarray(context.store.artifacts.load(prunes.PRUNES, prune_set.artifact, prunes.REMOVED))
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
