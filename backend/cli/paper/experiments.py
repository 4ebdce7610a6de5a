"""Tables 1 and 2, Figures 2 and 6, section F.2: all methods on one set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.cli import follow
from backend.cli.context import err
from backend.cli.paper.stages import ENCODER, RESNET, SMOKE_SIZE, Plan, prepared
from backend.services import battery as battery_service
from backend.services import compare as compare_service
from backend.services import prune as prune_service
from backend.services import subpopulations as subpopulation_service
from unskew.schemas import api, paper, params
from unskew.schemas.enums import JobKind, Layout, Method, PruneRule, Split
from unskew.schemas.paper import Experiment


def experiment_of(plan: Plan, experiment: Experiment, place: Path) -> dict[str, Any]:
    """All methods of Table 1 on one set; for CelebA-Age also the removal curve and the subpopulations."""
    weights = plan.weights.get(experiment.pretrained, "")
    project = prepared(
        plan,
        experiment.title,
        _import(plan, experiment, place),
        _model(plan, experiment),
        plan.trained(experiment.train),
    )
    battery = params.BatteryParams(
        methods=list(paper.METHODS),
        seeds=plan.seeds,
        search_seeds=plan.search_seeds,
        group_attribute=experiment.attribute,
        reweighted=None if plan.smoke else experiment.reweighted,
    )
    if not plan.quiet:
        todo = battery_service.plan(plan.store, project.slug, battery)
        err.print(f"{experiment.title}: {todo.n_runs} trainings, those that are stored not repeated")
    job = follow.run(plan.store, JobKind.BATTERY, battery, project.id, quiet=plan.quiet)
    excluded = _exclude(plan, project) if experiment.layout is Layout.CELEBA_AGE else None
    compared = compare_service.compare(plan.store, project.slug, split=Split.TEST, attribute=experiment.attribute)
    made: dict[str, Any] = {
        "set": experiment.key,
        "title": experiment.title,
        "project": project.slug,
        "found_at": str(place),
        "n_train": project.n_train,
        "pretrained": bool(weights),
        "remarks": _remarks(experiment, weights, plan.smoke),
        "not_run": {k.removeprefix("skipped_"): v for k, v in job.result.items() if k.startswith("skipped_")},
        "methods": [_row(row, experiment) for row in compared.methods],
        "warnings": compared.warnings,
    }
    if experiment.layout is Layout.CELEBA_AGE:
        trak = next(s for s in prune_service.list_score_sets(plan.store, project.slug) if s.method is Method.TRAK)
        made["figure_2"] = _figure_2(trak, compared)
        made["figure_6"] = [row.model_dump(mode="json") for row in subpopulation_service.table(plan.store, trak.id)]
        made["without_subpopulations"] = {
            "removed": excluded.k if excluded else None,
            "paper_worst_group_accuracy": paper.EXCLUDED_PUBLISHED.worst,
        }
    return made


def _row(row: api.MethodResult, experiment: Experiment) -> dict[str, Any]:
    published = experiment.published.get(row.method)
    if row.method is Method.EXCLUDE:
        published = paper.EXCLUDED_PUBLISHED
    return {
        "method": row.method,
        "labels_used": row.labels_used,
        "removed": row.removed,
        "seeds": row.seeds,
        "worst_group_accuracy": row.worst_group_accuracy.model_dump(),
        "worst_group_sd": row.worst_group_sd,
        "balanced_accuracy": row.balanced_accuracy.model_dump(),
        "paper_worst_group_accuracy": published.worst if published else None,
        "paper_balanced_accuracy": published.balanced if published else None,
    }


def _figure_2(trak: api.ScoreSet, compared: api.Comparison) -> dict[str, Any]:
    rows = [row for row in compared.curve if row.method in (Method.ERM, Method.TRAK, Method.RANDOM_K)]
    return {
        "star": trak.star,
        "best_k": trak.best_k,
        "balancing_would_drop": trak.balancing_would_drop,
        "curve": [row.model_dump(mode="json") for row in rows],
    }


def _exclude(plan: Plan, project: api.ProjectDetail) -> api.PruneSet | None:
    """Section F.2: retrain without the five subpopulations that the paper names; None where none is there."""
    trak = next(s for s in prune_service.list_score_sets(plan.store, project.slug) if s.method is Method.TRAK)
    there = {(row.label, row.attribute, row.value) for row in subpopulation_service.table(plan.store, trak.id)}
    keys = [(project.class_names.index(name), attribute, "yes") for name, attribute in paper.EXCLUDED]
    named = [api.SubpopulationKey(label=c, attribute=a, value=v) for c, a, v in keys if (c, a, v) in there]
    if not named:
        return None
    wanted = api.PruneCreate(rule=PruneRule.EXCLUDED, subpopulations=named)
    made = prune_service.create_prune_set(plan.store, trak.id, wanted)
    again = params.RetrainParams(methods=[Method.EXCLUDE], seeds=plan.seeds, prune_set_id=made.id)
    follow.run(plan.store, JobKind.RETRAIN, again, project.id, quiet=plan.quiet)
    return made


def _remarks(experiment: Experiment, weights: str, smoke: bool) -> list[str]:
    said = [experiment.unsaid] if experiment.unsaid else []
    if experiment.pretrained and not weights:
        option = f"--{experiment.pretrained}"
        said.append(f"The paper starts from pretrained weights; without {option} this starts from random ones.")
    return [*said, "Small models, one epoch and one seed: these figures mean nothing."] if smoke else said


def _import(plan: Plan, experiment: Experiment, place: Path) -> params.ImportParams:
    bert = plan.weights.get("bert") if experiment.pretrained == "bert" else None
    return params.ImportParams(
        source=str(place),
        name=experiment.title,
        layout=experiment.layout,
        image_size=SMOKE_SIZE if plan.smoke else experiment.image_size,
        n_tokens=experiment.n_tokens or 64,
        tokenizer=bert,
    )


def _model(plan: Plan, experiment: Experiment) -> params.ModelSpec:
    weights = plan.weights.get(experiment.pretrained, "")
    if experiment.pretrained == "bert":
        every = {"weights": weights, "trained_layers": 12}
        return params.ModelSpec(factory=ENCODER, kwargs=every) if weights else params.ModelSpec()
    if plan.smoke:
        return params.ModelSpec()
    return params.ModelSpec(factory=RESNET, kwargs={"weights": weights} if weights else {})
