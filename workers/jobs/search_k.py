"""K* by retraining over a grid, chosen by worst-group accuracy on validation over the score set's own groups.

Reads the groups that the score set was made with and nothing else: for pseudo-groups that means no group label at all.
ERM (K = 0) competes, so that removing nothing can win.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.store import projects, runs, scores, tables
from unskew.evaluation import group_metrics
from unskew.pruning import choose_k, default_grid, removed
from unskew.schemas.enums import Method, Split
from unskew.schemas.params import SearchKParams
from workers.context import Context, Step
from workers.runs import Wanted, ensure, recipe_of


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, SearchKParams)
    score_set, _ = score_set_of(context, params.score_set_id)
    grid = sorted(set(params.grid) - {0}) if params.grid is not None else grid_of(context, score_set)
    steps: list[Step] = [_step(0, seed) for seed in params.seeds]
    steps += [_step(k, seed) for k in grid for seed in params.seeds]
    return [*steps, {"title": "choose K*", "choose": True}]


def _step(k: int, seed: int) -> Step:
    return {"title": f"K = {k:,}, seed {seed}" if k else f"ERM, seed {seed}", "k": k, "seed": seed, "beside": True}


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, SearchKParams)
    if step.get("choose"):
        return choose(context, params.score_set_id, _runs_by_k(context), params.seeds)
    found = wanted(context, params.score_set_id, step["k"], step["seed"])
    return {f"run_{step['k']}_{step['seed']}": ensure(context, found)}


def grid_of(context: Context, score_set: tables.ScoreSet) -> list[int]:
    """The default grid around a score set's star."""
    n_train = len(context.store.artifacts.load(scores.SCORES, score_set.artifact, "alignment.npy"))
    return default_grid(score_set.star, n_train)


def wanted(context: Context, score_set_id: int, k: int, seed: int) -> Wanted:
    """The run without the k lowest; ERM for k = 0."""
    score_set, run_ids = score_set_of(context, score_set_id)
    model, train = recipe_of(context.store, score_set.project_id, run_ids)
    if k == 0:
        return Wanted(Method.ERM, seed, model, train, keep_checkpoint=True)
    alignment = context.store.artifacts.load(scores.SCORES, score_set.artifact, "alignment.npy")
    return Wanted(
        Method(score_set.method),
        seed,
        model,
        train,
        removed=removed(np.asarray(alignment), k),
        score_set_id=score_set.id,
        score_key=score_set.key,
    )


def choose(context: Context, score_set_id: int, found: dict[int, list[int]], seeds: list[int]) -> dict[str, Any]:
    """K* from finished runs (K → run numbers); stored with the score set."""
    score_set, _ = score_set_of(context, score_set_id)
    group = np.asarray(context.store.artifacts.load(scores.SCORES, score_set.artifact, "groups.npy"))
    with context.store.read() as session:
        label = projects.labels(session, score_set.project_id, Split.VALIDATION)
        rows = {run_id: session.get_one(tables.Run, run_id) for ids in found.values() for run_id in ids}
    curve = []
    for k, ids in sorted(found.items()):
        measured = [
            group_metrics(
                runs.predictions(context.store.artifacts, rows[i], Split.VALIDATION).prediction,
                label,
                group,
                int(group.max()) + 1,
            )
            for i in ids
        ]
        worst, balanced = (
            float(np.mean([getattr(m, name) for m in measured]))
            for name in ("worst_group_accuracy", "balanced_accuracy")
        )
        curve.append((k, worst, balanced))
    best = choose_k(curve)
    with context.store.session() as session:
        row = scores.get(session, score_set.id)
        row.best_k = best
        row.search = {
            "grid": sorted(found),
            "seeds": seeds,
            "run_ids": {str(k): ids for k, ids in found.items()},
            "curve": curve,
        }
    return {"score_set_id": score_set.id, "best_k": best}


def _runs_by_k(context: Context) -> dict[int, list[int]]:
    """Run numbers by K, from the results of the job's earlier steps."""
    from backend.store import jobs

    with context.store.read() as session:
        result = jobs.get(session, context.job_id).result
    found: dict[int, list[int]] = {}
    for name, number in result.items():
        if name.startswith("run_"):
            found.setdefault(int(name.split("_")[1]), []).append(number)
    return found


def score_set_of(context: Context, score_set_id: int) -> tuple[tables.ScoreSet, list[int]]:
    """The score set, and the runs whose attribution it rests on."""
    with context.store.read() as session:
        score_set = scores.get(session, score_set_id)
        return score_set, session.get_one(tables.Attribution, score_set.attribution_id).run_ids
