"""Which step may follow which: asked before a job is queued, so that a missing step is an answer, not a failed job."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.store import attributions, prunes, runs, scores, tables
from backend.store import projects as project_store
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.schemas import params
from unskew.schemas.enums import Engine, JobKind, Method, Split
from unskew.schemas.methods import RECIPES


def check(session: Session, kind: JobKind, wanted: params.Params, project_id: int | None) -> None:
    """Raise ConflictError when another step must come first, NotFoundError when something named is not there."""
    if isinstance(wanted, params.ImportParams):
        project_store.refuse_taken(session, wanted.name)
        return
    project = session.get(tables.Project, project_id)
    if project is None:
        raise NotFoundError(f"There is no project {project_id}.")
    if isinstance(wanted, params.AttributeParams):
        _checkpoints(session, project, wanted)
    elif isinstance(wanted, params.DiscoverParams | params.ScoreParams | params.LdsParams):
        attributions.chosen(session, project.id, wanted.attribution_id)
        if isinstance(wanted, params.ScoreParams):
            _group_set(session, project, wanted.group_set_id)
        if isinstance(wanted, params.LdsParams) and not runs.erm_runs(session, project.id, None):
            raise ConflictError("No ERM run says how to train on halves.", fix="Train ERM checkpoints first.")
    elif isinstance(wanted, params.SearchKParams):
        _of_project(scores.get(session, wanted.score_set_id).project_id, project, "score set")
    elif isinstance(wanted, params.RetrainParams):
        _retrain(session, project, wanted)
    elif isinstance(wanted, params.BatteryParams):
        _battery(session, project, wanted)
    elif isinstance(wanted, params.ContinueParams):
        _continue(session, project, wanted)


def _checkpoints(session: Session, project: tables.Project, wanted: params.AttributeParams) -> None:
    if wanted.engine is Engine.IMPORT:
        raise SettingsError("A matrix is not computed here.", fix="Import it: unskew attribute PROJECT --matrix FILE")
    found = runs.erm_runs(session, project.id, wanted.run_ids)
    if not found:
        raise ConflictError(
            "There is no checkpoint to attribute.", fix="Train ERM checkpoints first, or import your own."
        )
    missing = set(wanted.run_ids or []) - {run.id for run in found}
    if missing:
        raise NotFoundError(f"These runs have no checkpoint in this project: {sorted(missing)}.")


def _group_set(session: Session, project: tables.Project, group_set_id: int) -> None:
    row = session.get(tables.GroupSet, group_set_id)
    if row is None:
        raise NotFoundError(
            f"There is no group set {group_set_id}.", fix="Make one from directions or from an attribute."
        )
    _of_project(row.project_id, project, "group set")


def _retrain(session: Session, project: tables.Project, wanted: params.RetrainParams) -> None:
    pruning = [method for method in wanted.methods if RECIPES[method].prunes]
    if pruning and wanted.prune_set_id is None:
        raise ConflictError(
            f"{', '.join(pruning)} needs a prune set.", fix="Freeze one on Score & prune, or leave the method out."
        )
    if wanted.prune_set_id is not None:
        prune_set = prunes.get(session, wanted.prune_set_id)
        _of_project(prune_set.project_id, project, "prune set")
        own = prunes.method(session, prune_set)
        wrong = {method for method in pruning if method not in (own, Method.RANDOM_K)}
        if wrong:
            reads = RECIPES[own].labels_used
            raise SettingsError(
                f"Prune set {prune_set.id} was made with group labels: {reads}; "
                f"retraining on it is {own.value}, not {wrong.pop().value}.",
                fix=f"Say {own.value}.",
            )
    recipes = [RECIPES[method] for method in wanted.methods]
    if any(recipe.discovered for recipe in recipes):
        _pseudo_scores(session, project, wanted.score_set_id)
    readers = [r.method.value for r in recipes if r.labels_used != "none" and not r.prunes]
    if readers:
        if wanted.group_attribute is None:
            raise SettingsError(
                f"{', '.join(readers)} needs an attribute that is known on "
                + ("training rows." if any(r.reads_training_groups for r in recipes) else "validation examples."),
                fix="Name it as group_attribute.",
            )
        _attribute(project, wanted.group_attribute)


def _continue(session: Session, project: tables.Project, wanted: params.ContinueParams) -> None:
    project_store.refuse_taken(session, wanted.name)
    prune_set = prunes.get(session, wanted.prune_set_id)
    _of_project(prune_set.project_id, project, "prune set")
    label = project_store.labels(session, project.id, Split.TRAIN)
    for number, removed in enumerate(prune_set.removed_by_class):
        if removed and removed == int((label == number).sum()):
            raise ConflictError(
                f"Prune set {prune_set.id} leaves no training example of {project.class_names[number]!r}.",
                fix="Choose one that leaves some.",
            )


def _pseudo_scores(session: Session, project: tables.Project, score_set_id: int | None) -> None:
    if score_set_id is None:
        scores.newest(session, project.id, Method.AUTO_TRAK)
        return
    row = scores.get(session, score_set_id)
    _of_project(row.project_id, project, "score set")
    if row.method != Method.AUTO_TRAK:
        raise SettingsError(
            f"Score set {row.id} rests on groups that are known or split by the loss; auto_* methods read discovered "
            "ones.",
            fix="Choose a score set of pseudo-groups.",
        )


def _attribute(project: tables.Project, name: str) -> None:
    if name not in project.attributes:
        raise NotFoundError(
            f"There is no attribute {name!r}.", fix=f"There are: {', '.join(project.attributes) or 'none'}."
        )


def _battery(session: Session, project: tables.Project, wanted: params.BatteryParams) -> None:
    if wanted.group_attribute is not None:
        _attribute(project, wanted.group_attribute)
    if wanted.group_set_id is not None:
        _group_set(session, project, wanted.group_set_id)
    attributions.chosen(session, project.id, None)
    if not attributions.newest_directions(session, project.id):
        raise ConflictError("There are no directions yet.", fix="Discover them first: the auto methods need them.")


def _of_project(owner: int, project: tables.Project, what: str) -> None:
    if owner != project.id:
        raise NotFoundError(f"That {what} belongs to another project.")
