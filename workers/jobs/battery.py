"""Every method against every other: score, search K*, train all methods on all seeds, controls included.

A plan of many short steps: ERM first, then scores and searches of the pruning methods, then the other trainings. Each
training has the key that a retrain or a search would give it, so nothing is trained twice and a stopped battery goes on
where it was. A method that cannot run on this project (a JTT without errors, a model without a last layer) is left out
with its reason; the others go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backend.services import battery as plans
from backend.services import groups as group_service
from backend.services import prune as prune_service
from backend.store import attributions, groups, jobs, projects, scores
from unskew.errors import Stopped, UnskewError
from unskew.pruning import random_removed
from unskew.schemas import api
from unskew.schemas.enums import GroupSource, Method, PruneRule
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import BatteryParams, ScoreParams
from workers.context import Context, Step
from workers.jobs import retrain, score, search_k
from workers.runs import Wanted, ensure

BASIS = (Method.AUTO_TRAK, Method.TRAK, Method.LOSS_TRAK)  # the first that runs says how many rows go at random


REWEIGHTED = (Method.RWG, Method.SUBG, Method.GROUP_DRO, Method.JTT)  # may train by settings of their own


def plan(context: Context) -> list[Step]:
    params = _params(context)
    with context.store.read() as session:
        methods, left_out = plans.chosen(session, projects.get(session, context.project().id), params)
    for method, why in left_out.items():
        context.log(f"left out: {method.value}, {why}")
    seeds, search_seeds = list(dict.fromkeys(params.seeds)), list(dict.fromkeys(params.search_seeds))
    steps: list[Step] = [
        {"title": f"erm, seed {seed}", "method": Method.ERM.value, "seed": seed, "beside": True}
        for seed in dict.fromkeys([*search_seeds, *seeds])
    ]
    searched = [method for method in plans.SEARCHED if method in methods]
    scored = list(searched)
    if Method.AUTO_TRAK not in scored and any(RECIPES[method].discovered for method in methods):
        scored.insert(0, Method.AUTO_TRAK)
    steps += [{"title": f"score for {method.value}", "score": method.value} for method in scored]
    for method in searched:
        steps += [
            {
                "title": f"{method.value}, size {place + 1} of {plans.N_GRID}, seed {seed}",
                "search": method.value,
                "place": place,
                "seed": seed,
                "beside": True,
            }
            for place in range(plans.N_GRID)
            for seed in search_seeds
        ]
        if method is searched[0]:  # the control of the removal curve, at the same sizes
            steps += [
                {
                    "title": f"random_k, size {place + 1} of {plans.N_GRID}, seed {seed}",
                    "search": method.value,
                    "place": place,
                    "seed": seed,
                    "random": True,
                    "beside": True,
                }
                for place in range(plans.N_GRID)
                for seed in search_seeds
            ]
        steps.append({"title": f"{method.value}, choose K*", "choose": method.value})
    steps += [
        {"title": f"{method.value}, seed {seed}", "method": method.value, "seed": seed, "beside": True}
        for method in methods
        if method is not Method.ERM
        for seed in seeds
    ]
    return steps


def run(context: Context, step: Step) -> dict[str, Any]:
    if "score" in step:
        return _score(context, Method(step["score"]))
    if "search" in step:
        return _search(context, step)
    if "choose" in step:
        return _choose(context, Method(step["choose"]))
    method = Method(step["method"])
    try:
        number = ensure(context, _wanted(context, method, step["seed"]))
    except Stopped:
        raise
    except UnskewError as error:
        if method is Method.ERM:
            raise
        context.log(f"left out: {step['title']}: {error.what}")
        return {f"skipped_{method.value}_{step['seed']}": error.what}
    return {f"run_{method.value}_{step['seed']}": number}


def _wanted(context: Context, method: Method, seed: int) -> Wanted:
    """The run of a method, on the score set or prune set that this battery made for it."""
    result = _result(context)
    source = method
    if method is Method.RANDOM_K:
        found = [m for m in BASIS if f"prune_set_{m.value}" in result]
        if not found:
            raise UnskewError("No method prunes, so nothing is dropped at random.", fix="Add auto_trak or trak.")
        source = found[0]
    with context.store.read() as session:
        attribute = plans.attribute_of(session, projects.get(session, context.project().id), _params(context))
    return retrain.wanted(
        context,
        method,
        seed,
        prune_set_id=result.get(f"prune_set_{source.value}"),
        score_set_id=result.get(f"score_set_{Method.AUTO_TRAK.value}"),
        attribute=attribute,
        train=_params(context).reweighted if method in REWEIGHTED else None,
    )


# ---------------------------------------------------------------- scores and K*
def _score(context: Context, method: Method) -> dict[str, Any]:
    group_set_id = _group_set(context, method)
    found = score.run(replace(context, params=ScoreParams(group_set_id=group_set_id)), {})
    return {f"score_set_{method.value}": found["score_set_id"]}


def _group_set(context: Context, method: Method) -> int:
    """Known groups for trak; pseudo-groups for auto_trak; the split by the loss for the control."""
    project, params = context.project(), _params(context)
    if method is Method.TRAK:
        with context.store.read() as session:
            attribute = plans.attribute_of(session, projects.get(session, project.id), params)
        assert attribute is not None, "the plan leaves trak out without one"
        return group_service.ready(context.store, project.slug, api.GroupSetCreate(name=attribute, attribute=attribute))
    if method is Method.LOSS_TRAK:
        with context.store.read() as session:
            newest = attributions.chosen(session, project.id, None).id
        wanted = api.GroupSetCreate(name=f"loss alone, attribution {newest}", by_loss=True)
        return group_service.ready(context.store, project.slug, wanted)
    if params.group_set_id is not None:
        return params.group_set_id
    with context.store.read() as session:
        for row in groups.list_group_sets(session, project.id):
            if row.source == GroupSource.PSEUDO and row.direction_ids:
                return row.id
    return group_service.ready(
        context.store, project.slug, group_service.from_first_directions(context.store, project.slug)
    )


def _search(context: Context, step: Step) -> dict[str, Any]:
    method, place, seed = Method(step["search"]), step["place"], step["seed"]
    score_set_id = _result(context)[f"score_set_{method.value}"]
    score_set, _ = search_k.score_set_of(context, score_set_id)
    grid = search_k.grid_of(context, score_set)
    if place >= len(grid):
        return {}  # a small star gives fewer sizes
    found = search_k.wanted(context, score_set_id, grid[place], seed)
    if step.get("random"):
        n_train = len(context.store.artifacts.load(scores.SCORES, score_set.artifact, "alignment.npy"))
        dropped = random_removed(n_train, grid[place], seed)
        ensure(context, Wanted(Method.RANDOM_K, seed, found.model, found.train, removed=dropped))
        return {}
    number = ensure(context, found)
    return {f"search_{method.value}_{grid[place]}_{seed}": number}


def _choose(context: Context, method: Method) -> dict[str, Any]:
    """K* among the sizes and ERM; the rows are frozen as a prune set."""
    result, params = _result(context), _params(context)
    score_set_id, seeds = result[f"score_set_{method.value}"], list(dict.fromkeys(params.search_seeds))
    found: dict[int, list[int]] = {0: [_erm(context, score_set_id, seed) for seed in seeds]}
    prefix = f"search_{method.value}_"
    for name, number in result.items():
        if name.startswith(prefix):
            found.setdefault(int(name.removeprefix(prefix).split("_")[0]), []).append(number)
    best = search_k.choose(context, score_set_id, found, seeds)["best_k"]
    made = prune_service.create_prune_set(context.store, score_set_id, api.PruneCreate(rule=PruneRule.BEST))
    return {f"prune_set_{method.value}": made.id, f"best_k_{method.value}": best}


def _erm(context: Context, score_set_id: int, seed: int) -> int:
    return ensure(context, search_k.wanted(context, score_set_id, 0, seed))


def _result(context: Context) -> dict[str, Any]:
    with context.store.read() as session:
        return dict(jobs.get(session, context.job_id).result)


def _params(context: Context) -> BatteryParams:
    assert isinstance(context.params, BatteryParams)
    return context.params
