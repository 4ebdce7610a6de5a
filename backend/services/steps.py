"""The stepper: what is done, and in what words."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from backend.store import attributions, groups, prunes, reports, runs, scores, tables
from unskew.schemas import api
from unskew.schemas.enums import DirectionState, Method, PruneRule, Verdict


def steps(session: Session, project: tables.Project, n_examples: int) -> list[api.Step]:
    """The nine steps of the loop for one project."""
    found = runs.list_runs(session, project.id)
    checkpoints = sum(run.method == Method.ERM and run.checkpoint is not None for run in found)
    pruned = [run for run in found if run.method != Method.ERM]
    frozen = len(reports.list_reports(session, project.id))
    return [
        _step("data", "Data", n_examples, f"{n_examples:,} examples, {len(project.class_names)} classes"),
        _step("models", "Models", checkpoints, _plural(checkpoints, "checkpoint")),
        *_attributed(session, project),
        _labelled(session, project),
        _scored(session, project),
        _step("retrain", "Retrain", pruned, _plural(len(pruned), "run") + " beside ERM"),
        _step("compare", "Compare", pruned and checkpoints, _plural(len({run.method for run in found}), "method")),
        _step("report", "Report", frozen, _plural(frozen, "report") + " frozen"),
    ]


def _attributed(session: Session, project: tables.Project) -> list[api.Step]:
    found = attributions.list_attributions(session, project.id)
    rows = attributions.newest_directions(session, project.id)
    seen = sum(row.state != DirectionState.OPEN for row in rows)
    strong = sum(row.evidence["verdict"] == Verdict.STRONG for row in rows)
    return [
        _step("attribution", "Attribution", found, _plural(len(found[0].run_ids) if found else 0, "checkpoint")),
        _step("discover", "Discover", rows, f"{len(rows)} directions, {strong} strong, {seen} reviewed"),
    ]


def _labelled(session: Session, project: tables.Project) -> api.Step:
    sets = groups.list_group_sets(session, project.id)
    return _step("label", "Label", sets, f"group set “{sets[0].name}”, version {sets[0].version}" if sets else "")


def _scored(session: Session, project: tables.Project) -> api.Step:
    sets = prunes.list_prune_sets(session, project.id)
    if sets:
        words = {PruneRule.STAR: "the star", PruneRule.BEST: "K*", PruneRule.MANUAL: "by hand"}
        words[PruneRule.EXCLUDED] = "subpopulations"
        return _step("prune", "Score & prune", True, f"K = {sets[0].k:,} ({words[PruneRule(sets[0].rule)]})")
    scored = scores.list_score_sets(session, project.id)
    return api.Step(
        key="prune", title="Score & prune", done=False, detail="scored, nothing frozen yet" if scored else ""
    )


def _step(key: Any, title: str, done: object, detail: str) -> api.Step:
    return api.Step(key=key, title=title, done=bool(done), detail=detail if done else "")


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
