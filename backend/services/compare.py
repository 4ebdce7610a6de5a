"""Compare: every method over its seeds on one split over one grouping, the removal curve, and what to beware of.

Nothing is trained or stored here: predictions are stored with each run, and any grouping can be laid over them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from backend.services import search
from backend.services.views import View, view
from backend.store import groups, projects, prunes, runs, scores, tables
from backend.store.db import Store
from unskew.groups import counts
from unskew.pruning import balancing_drops
from unskew.schemas import api
from unskew.schemas.enums import Method, PruneRule, Split
from unskew.schemas.methods import RECIPES

FEW_EXAMPLES = 20  # of a group: below this its accuracy says little
FEW_SEEDS = 3
PREFERRED = (PruneRule.BEST, PruneRule.STAR, PruneRule.MANUAL, PruneRule.EXCLUDED)
PRUNING = (Method.TRAK, Method.AUTO_TRAK, Method.LOSS_TRAK, Method.EXCLUDE)


@dataclass
class Chosen:
    """The runs that stand for the methods.

    Attributes:
        methods: (method, runs of one K over seeds), in the order of `Method`.
        score_sets: pruning method → the score set that its runs rest on.
        other_settings: methods that were trained with another model or other settings than the rest.
    """

    methods: list[tuple[Method, list[tables.Run]]] = field(default_factory=list)
    score_sets: dict[Method, tables.ScoreSet] = field(default_factory=dict)
    other_settings: list[Method] = field(default_factory=list)


def compare(
    store: Store,
    slug: str,
    *,
    split: Split = Split.VALIDATION,
    attribute: str | None = None,
    group_set_id: int | None = None,
) -> api.Comparison:
    """Every method of a project. Without a grouping: the first attribute, else the classes."""
    with store.read() as session:
        project = projects.get(session, slug)
        seen = view(store, session, project, split, attribute=attribute, group_set_id=group_set_id)
        found = choose(session, project)
        main = _main(found)
        return api.Comparison(
            split=split,
            grouping=seen.title,
            methods=[_result(seen, method, rows) for method, rows in found.methods],
            curve=_curve(session, project, seen, found),
            star=main.star if main else None,
            best_k=main.best_k if main else None,
            warnings=_warnings(session, seen, found),
            balancing_would_drop=_balancing(seen),
        )


def _balancing(seen: View) -> int | None:
    if seen.train_counts is None:
        return None
    return balancing_drops(seen.train_counts, int(seen.train_counts.sum()))


def choose(session: Session, project: tables.Project) -> Chosen:
    """One set of runs a method: of pruning methods the prune set by K*, else the star's, else one by hand.

    The random control stands beside each K that was chosen. Runs with other settings than the pruned ones are left
    out, unless a method has no others.
    """
    by_method: dict[Method, list[tables.Run]] = defaultdict(list)
    for run in runs.list_runs(session, project.id):
        by_method[Method(run.method)].append(run)
    found = Chosen()
    picked: dict[Method, list[tables.Run]] = {}
    for method in PRUNING:
        for prune_set in _by_preference(session, project):
            score_set = scores.get(session, prune_set.score_set_id)
            if prunes.method(session, prune_set) != method:
                continue
            own = _runs_of(session, by_method, method, prune_set, score_set)
            if own:
                picked[method], found.score_sets[method] = own, score_set
                break
    settings = next((rows[-1].params for rows in picked.values()), None)
    for method in Method:
        if method in picked:
            found.methods.append((method, _by_seed(picked[method])))
            continue
        if method in PRUNING or not by_method[method]:
            continue
        same = [run for run in by_method[method] if run.params == settings]
        if settings is not None and not same:
            found.other_settings.append(method)
        same = same or [run for run in by_method[method] if run.params == by_method[method][-1].params]
        if RECIPES[method].discovered:  # on the newest pseudo-groups
            same = [run for run in same if run.score_set_id == same[-1].score_set_id]
        if method is not Method.RANDOM_K:
            found.methods.append((method, _by_seed(same)))
            continue
        for k in sorted({rows[0].removed for rows in picked.values()}):
            at_k = [run for run in same if run.removed == k]
            if at_k:
                found.methods.append((method, _by_seed(at_k)))
    return found


def _runs_of(
    session: Session,
    by_method: dict[Method, list[tables.Run]],
    method: Method,
    prune_set: tables.PruneSet,
    score_set: tables.ScoreSet,
) -> list[tables.Run]:
    """The method's runs on a prune set; one that removes nothing is the ERM runs that were trained alike."""
    if method is Method.EXCLUDE:
        return [r for r in by_method[method] if r.prune_set_id == prune_set.id]
    if prune_set.k:
        return [r for r in by_method[method] if r.score_set_id == score_set.id and r.removed == prune_set.k]
    attributed = session.get_one(tables.Attribution, score_set.attribution_id).run_ids
    like = session.get_one(tables.Run, attributed[-1]).params
    return [run for run in by_method[Method.ERM] if run.params == like]


def _by_preference(session: Session, project: tables.Project) -> list[tables.PruneSet]:
    """K* first, then the star, then by hand; the newest of each first."""
    found = prunes.list_prune_sets(session, project.id)
    return sorted(found, key=lambda row: (PREFERRED.index(PruneRule(row.rule)), -row.id))


def _by_seed(found: Iterable[tables.Run]) -> list[tables.Run]:
    """The newest run of each seed, seeds rising."""
    newest = {run.seed: run for run in sorted(found, key=lambda run: run.id)}
    return [newest[seed] for seed in sorted(newest)]


def _main(found: Chosen) -> tables.ScoreSet | None:
    """The score set whose star and K* are drawn: the newest that was compared."""
    return max(found.score_sets.values(), key=lambda row: row.id, default=None)


def _result(seen: View, method: Method, found: list[tables.Run]) -> api.MethodResult:
    summary = seen.summary(found)
    return api.MethodResult(
        method=method,
        removed=found[0].removed,  # 0 for a prune set that removes nothing: its runs are ERM's
        labels_used=RECIPES[method].labels_used,
        seeds=[run.seed for run in found],
        worst_group_accuracy=summary.worst_group_accuracy,
        balanced_accuracy=summary.balanced_accuracy,
        average_accuracy=summary.average_accuracy,
        adjusted_average_accuracy=summary.adjusted_average_accuracy,
        per_seed=[_seed(seen, run) for run in found],
        groups=[
            api.GroupAccuracy(group=g, name=seen.names[g], accuracy=accuracy)
            for g, accuracy in enumerate(summary.groups)
            if accuracy is not None
        ],
        worst_group_sd=_sd([seen.measure(run).worst_group_accuracy for run in found]),
        worst_group_bootstrap=seen.bootstrap(found),
    )


def _sd(values: list[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _seed(seen: View, run: tables.Run) -> dict[str, float | None]:
    measured = seen.measure(run)
    return {
        "seed": run.seed,
        "run_id": run.id,
        "worst_group_accuracy": measured.worst_group_accuracy,
        "balanced_accuracy": measured.balanced_accuracy,
        "average_accuracy": measured.average_accuracy,
        "adjusted_average_accuracy": measured.adjusted_average_accuracy,
    }


def _curve(session: Session, project: tables.Project, seen: View, found: Chosen) -> list[api.CurveRow]:
    """K = 0 (ERM), every K that was trained for a compared score set, and every random removal with the same settings.

    The newest score set comes first: star and K* are drawn on the first line.
    """
    by_method = dict(found.methods)
    every = runs.list_runs(session, project.id)
    made = search.rows(seen, Method.ERM, by_method.get(Method.ERM, []))
    for method, score_set in sorted(found.score_sets.items(), key=lambda item: -item[1].id):
        own = [run for run in every if run.score_set_id == score_set.id and run.method == method]
        made += search.rows(seen, method, own)
    settings = [rows[-1].params for method, rows in found.methods if method in PRUNING]
    control = [run for run in every if run.method == Method.RANDOM_K and run.params in settings]
    return made + search.rows(seen, Method.RANDOM_K, control)


def _warnings(session: Session, seen: View, found: Chosen) -> list[str]:
    said = []
    compared = [method for method, _ in found.methods]
    chosen_here = [m for m, row in found.score_sets.items() if row.best_k is not None]
    if seen.split is Split.VALIDATION and found.score_sets:
        how = "T was scored and K chosen" if chosen_here else "T was scored"
        said.append(f"{how} on these validation examples, which flatters the pruned models: judge on test.")
    said += _small_groups(seen)
    if found.score_sets and Method.RANDOM_K not in compared:
        said.append("There is no random control at this K: retrain random_k before believing a gain.")
    short = dict.fromkeys(method.value for method, rows in found.methods if len(rows) < FEW_SEEDS)
    if short:
        said.append(f"Fewer than {FEW_SEEDS} seeds: {', '.join(short)}. Differences may be chance.")
    if found.other_settings:
        names = ", ".join(method.value for method in found.other_settings)
        said.append(f"Trained with another model or other settings than the pruned runs: {names}.")
    for method, row in found.score_sets.items():
        if groups.get(session, row.group_set_id).version != row.group_set_version:
            said.append(
                f"{method.value}: labels changed after the scores were made. Score and prune again to use them."
            )
    return said


def _small_groups(seen: View) -> Sequence[str]:
    n = counts(seen.group, len(seen.names))
    small = [f"“{name}” ({n[g]})" for g, name in enumerate(seen.names) if 0 < n[g] < FEW_EXAMPLES]
    return [f"Fewer than {FEW_EXAMPLES} examples, so accuracy says little: {', '.join(small)}."] if small else []
