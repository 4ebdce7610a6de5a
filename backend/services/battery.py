"""The battery: which methods a project has labels for, how many trainings they take, and about how long."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from backend.store import projects, runs, tables
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import Method, Split
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import BatteryParams, TuningParams

SEARCHED = (Method.AUTO_TRAK, Method.TRAK, Method.LOSS_TRAK)  # prune at a K* of their own
N_GRID = 7  # values of K that a search tries, besides K = 0
CONTROLS = tuple(method for method, recipe in RECIPES.items() if recipe.control)


def plan(store: Store, slug: str, wanted: BatteryParams) -> api.BatteryPlan:
    """What a battery would run: every training is counted, and the time is a guess from this project's ERM runs."""
    with store.read() as session:
        project = projects.get(session, slug)
        attribute = attribute_of(session, project, wanted)
        methods, left_out = chosen(session, project, wanted)
        erm = [run.seconds for run in runs.erm_runs(session, project.id) if run.seconds > 0]
    n_curves = sum(method in SEARCHED for method in methods)
    n_curves += n_curves > 0  # random removal at the sizes of the first
    n_search = len(dict.fromkeys(wanted.search_seeds)) * N_GRID * n_curves
    n_seeds, tuning = len(dict.fromkeys(wanted.seeds)), TuningParams()
    cost = n_search + n_seeds * sum(RECIPES[method].cost(tuning) for method in methods)
    return api.BatteryPlan(
        methods=methods,
        left_out=left_out,
        attribute=attribute,
        seeds=list(dict.fromkeys(wanted.seeds)),
        n_searches=n_search,
        n_runs=n_search + n_seeds * len(methods),
        erm_trainings=round(cost, 1),
        seconds=round(cost * sum(erm) / len(erm)) if erm else None,
    )


def attribute_of(session: Session, project: tables.Project, wanted: BatteryParams) -> str | None:
    """The attribute that methods with group labels read: the one asked for, else the first that validation knows."""
    if wanted.group_attribute is not None:
        return wanted.group_attribute
    known = (a for a in project.attributes if _known(session, project, Split.VALIDATION, a))
    return next(known, None)


def chosen(session: Session, project: tables.Project, wanted: BatteryParams) -> tuple[list[Method], dict[Method, str]]:
    """The methods that will run, controls among them always, and those left out with the reason."""
    asked: Sequence[Method] = list(Method) if wanted.methods is None else [*CONTROLS, *wanted.methods]
    asked = [method for method in asked if method is not Method.EXCLUDE]  # what to exclude is a person's choice
    attribute = attribute_of(session, project, wanted)
    in_validation = attribute is not None and _known(session, project, Split.VALIDATION, attribute)
    in_training = attribute is not None and _known(session, project, Split.TRAIN, attribute)
    methods, left_out = [], {}
    for method in (m for m in Method if m in asked):
        reads = RECIPES[method].labels_used
        if reads == "training groups" and not in_training:
            left_out[method] = "needs an attribute that is known on training examples"
        elif reads == "validation groups" and not in_validation:
            left_out[method] = "needs an attribute that is known on validation examples"
        else:
            methods.append(method)
    return methods, left_out


def _known(session: Session, project: tables.Project, split: Split, name: str) -> bool:
    return projects.attribute_known(session, project.id, split, name)


def league(comparison: api.Comparison) -> list[api.LeagueRow]:
    """One row a method and seed, for programs."""
    return [
        api.LeagueRow(
            method=method.method,
            seed=int(found["seed"] or 0),
            labels_used=method.labels_used,
            removed=method.removed,
            worst_group_accuracy=found["worst_group_accuracy"] or 0.0,
            balanced_accuracy=found["balanced_accuracy"] or 0.0,
            average_accuracy=found["average_accuracy"] or 0.0,
            adjusted_average_accuracy=found["adjusted_average_accuracy"],
        )
        for method in comparison.methods
        for found in method.per_seed
    ]
