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
    score_set, _ = _score_set(context)
    n_train = len(context.store.artifacts.load(scores.SCORES, score_set.artifact, "alignment.npy"))
    grid = sorted(set(params.grid) - {0}) if params.grid is not None else default_grid(score_set.star, n_train)
    steps: list[Step] = [_step(0, seed) for seed in params.seeds]
    steps += [_step(k, seed) for k in grid for seed in params.seeds]
    return [*steps, {"title": "choose K*", "choose": True}]


def _step(k: int, seed: int) -> Step:
    return {"title": f"K = {k:,}, seed {seed}" if k else f"ERM, seed {seed}", "k": k, "seed": seed}


def run(context: Context, step: Step) -> dict[str, Any]:
    if step.get("choose"):
        return _choose(context)
    return {f"run_{step['k']}_{step['seed']}": ensure(context, _wanted(context, step["k"], step["seed"]))}


def _wanted(context: Context, k: int, seed: int) -> Wanted:
    score_set, run_ids = _score_set(context)
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


def _choose(context: Context) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, SearchKParams)
    score_set, _ = _score_set(context)
    found = _runs_by_k(context)
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
            "seeds": params.seeds,
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


def _score_set(context: Context) -> tuple[tables.ScoreSet, list[int]]:
    """The score set, and the runs whose attribution it rests on."""
    params = context.params
    assert isinstance(params, SearchKParams)
    with context.store.read() as session:
        score_set = scores.get(session, params.score_set_id)
        return score_set, session.get_one(tables.Attribution, score_set.attribution_id).run_ids
