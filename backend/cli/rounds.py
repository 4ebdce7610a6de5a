"""`unskew continue` and `unskew rounds`: discover → prune → discover again on what is left, until nothing is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backend.cli import follow
from backend.cli.context import DataOption, JsonOption, ProjectArgument, emit, opened, seeds, table
from backend.cli.loop import group_set_for
from backend.services import compare as compare_service
from backend.services import directions as direction_service
from backend.services import projects as project_service
from backend.services import prune as prune_service
from backend.store.db import Store
from unskew.errors import ConflictError
from unskew.schemas import api, params
from unskew.schemas.enums import JobKind, Method, PruneRule, Split, Verdict

ORDER = (Verdict.NONE, Verdict.POSSIBLE, Verdict.STRONG)


def register(app: typer.Typer) -> None:
    app.command("continue")(continue_)
    app.command()(rounds)


def continue_(
    project: ProjectArgument,
    name: Annotated[str, typer.Option(help="Of the new project. [default: its name, and the round's number]")] = "",
    prune_set: Annotated[int | None, typer.Option(help="[default: the newest]")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a project of what a prune set leaves, to look for what else is there."""
    with opened(data) as store:
        sets = prune_service.list_prune_sets(store, project)
        if not sets:
            raise ConflictError("There is no prune set yet.", fix=f"First: unskew prune {project}")
        chosen = sets[0].id if prune_set is None else prune_set
        made = _continue(store, project, chosen, name, quiet=as_json)
        emit(made, as_json, f"Project [bold]{made.slug}[/]: {made.n_train:,} training examples are left.")


def rounds(
    project: ProjectArgument,
    most: Annotated[int, typer.Option(min=1, max=20, help="Rounds at most.")] = 3,
    seeds_: Annotated[str, typer.Option("--seeds", help="Of the search for K* and of retraining.")] = "3",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Discover, prune, and discover again in what is left, until no verdict is strong or nothing is worth removing.

    Each round is a project of its own, with its directions, scores, runs and comparison; no group label is read.
    """
    with opened(data) as store:
        found = [_round(store, project, 1, seeds(seeds_), quiet=as_json)]
        while len(found) < most and found[-1]["ended"] is None:
            last = found[-1]
            number = len(found) + 1
            name = params.next_round(project_service.get(store, last["project"]).name)
            slug = _next(store, last["project"], last["prune_set"], name, quiet=as_json)
            found.append(_round(store, slug, number, seeds(seeds_), quiet=as_json))
        shown = table("Rounds", _COLUMNS, [_row(one) for one in found])
        shown.caption = found[-1]["ended"] or "As many rounds as were allowed; there may be more to find."
        emit(found, as_json, shown)


_COLUMNS = ["round", "project", "training rows", "verdict", "K*", "validation, own groups", "test, worst group"]


def _row(one: dict[str, Any]) -> list[str]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    return [
        str(one["round"]),
        one["project"],
        f"{one['n_train']:,}",
        one["verdict"],
        "" if one["k"] is None else f"{one['k']:,}",
        f"{shown(one['validation_before'])} → {shown(one['validation_after'])}" if one["k"] is not None else "",
        f"{shown(one['test_before'])} → {shown(one['test_after'])}" if one["test_after"] is not None else "",
    ]


def _round(store: Store, slug: str, number: int, chosen: list[int], *, quiet: bool) -> dict[str, Any]:
    """One round; what is there already is not made again."""
    made = project_service.get(store, slug)
    _directions(store, made, quiet=quiet)
    verdicts = [d.evidence.verdict for d in direction_service.list_directions(store, slug)]
    verdict = max(verdicts, key=ORDER.index)
    result: dict[str, Any] = {"round": number, "project": slug, "n_train": made.n_train, "verdict": verdict.value}
    result |= {"k": None, "prune_set": None, "validation_before": None, "validation_after": None}
    result |= {"test_before": None, "test_after": None, "ended": None}
    if verdict is not Verdict.STRONG:
        return result | {"ended": "No verdict is strong any more."}
    scoring = params.ScoreParams(group_set_id=group_set_for(store, slug, None))
    scored = follow.run(store, JobKind.SCORE, scoring, made.id, quiet=quiet).result["score_set_id"]
    follow.run(store, JobKind.SEARCH_K, params.SearchKParams(score_set_id=scored, seeds=chosen), made.id, quiet=quiet)
    score = prune_service.score_set(store, scored)
    curve = {point.k: point.worst_group_accuracy.value for point in score.curve if point.method is not Method.RANDOM_K}
    result |= {"k": score.best_k, "validation_before": curve.get(0), "validation_after": curve.get(score.best_k or 0)}
    if not score.best_k:
        return result | {"ended": "Nothing is worth removing: ERM is as good over the groups that were found."}
    frozen = prune_service.create_prune_set(store, scored, api.PruneCreate(rule=PruneRule.BEST))
    again = params.RetrainParams(methods=[Method.ERM, Method.AUTO_TRAK], seeds=chosen, prune_set_id=frozen.id)
    follow.run(store, JobKind.RETRAIN, again, made.id, quiet=quiet)
    return result | {"prune_set": frozen.id} | _on_test(store, made)


def _directions(store: Store, made: api.ProjectDetail, *, quiet: bool) -> None:
    """ERM checkpoints by the recipe of the project that this one continues, attribution, directions."""
    if not [run for run in project_service.runs_list(store, made.slug) if run.method is Method.ERM]:
        parent = made.source.get("continues")
        erm = [r for r in project_service.runs_list(store, parent) if r.method is Method.ERM] if parent else []
        wanted = params.TrainJobParams()
        if erm:
            fields = {name: erm[0].params[name] for name in ("model", "train")}
            wanted = params.TrainJobParams.model_validate(fields | {"seeds": sorted({r.seed for r in erm})})
        follow.run(store, JobKind.TRAIN, wanted, made.id, quiet=quiet)
    if not project_service.attributions_list(store, made.slug):
        follow.run(store, JobKind.ATTRIBUTE, params.AttributeParams(), made.id, quiet=quiet)
    if not direction_service.list_directions(store, made.slug):
        follow.run(store, JobKind.DISCOVER, params.DiscoverParams(), made.id, quiet=quiet)


def _on_test(store: Store, made: api.ProjectDetail) -> dict[str, Any]:
    """Worst group of test by the first attribute, before and after; nothing was chosen by it."""
    if not (made.n_test and made.attributes):
        return {}
    rows = compare_service.compare(store, made.slug, split=Split.TEST, attribute=made.attributes[0]).methods
    worst = {row.method: row.worst_group_accuracy.value for row in rows}
    return {"test_before": worst.get(Method.ERM), "test_after": worst.get(Method.AUTO_TRAK)}


def _next(store: Store, slug: str, prune_set: int, name: str, *, quiet: bool) -> str:
    """The project of the next round, made unless it is there.

    Raises:
        ConflictError: one of its name is there, and is another.
    """
    own = project_service.slug_for(name)
    if own not in {project.slug for project in project_service.list_projects(store)}:
        return _continue(store, slug, prune_set, name, quiet=quiet).slug
    source = project_service.get(store, own).source
    if (source.get("continues"), source.get("prune_set")) != (slug, prune_set):
        raise ConflictError(
            f"There is a project {own!r} already, and it does not continue prune set {prune_set} of {slug!r}.",
            fix=f"Delete it: unskew delete {own}. Or go on by hand: unskew continue {slug} --name NAME",
        )
    return own


def _continue(store: Store, slug: str, prune_set: int, name: str, *, quiet: bool) -> api.ProjectDetail:
    made = project_service.get(store, slug)
    wanted = params.ContinueParams(prune_set_id=prune_set, name=name or params.next_round(made.name))
    job = follow.run(store, JobKind.CONTINUE, wanted, made.id, quiet=quiet)
    return project_service.get(store, str(job.result["project"]))
