"""Group sets and labels."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response

from backend.api.deps import Cursor, Limit, StoreDep, attachment
from backend.api.rights import EDITOR, LABELER, VIEWER, Who
from backend.auth.identity import Identity
from backend.services import groups
from unskew.schemas import api
from unskew.schemas.enums import LabelOrder

router = APIRouter(tags=["groups"])


@router.get("/projects/{slug}/group-sets", dependencies=[VIEWER])
def list_group_sets(store: StoreDep, slug: str) -> list[api.GroupSet]:
    """Group sets, newest first."""
    return groups.list_group_sets(store, slug)


@router.post("/projects/{slug}/group-sets", status_code=201, dependencies=[EDITOR])
def create(store: StoreDep, slug: str, wanted: api.GroupSetCreate) -> api.GroupSet:
    """Make one from directions, from an attribute, or empty for hand labels."""
    return groups.create(store, slug, wanted)


@router.get("/group-sets/{group_set_id}", dependencies=[VIEWER])
def get(store: StoreDep, group_set_id: int) -> api.GroupSet:
    """One group set with its counts and the models' accuracy on each group."""
    return groups.get(store, group_set_id)


@router.patch("/group-sets/{group_set_id}", dependencies=[EDITOR])
def update(store: StoreDep, group_set_id: int, patch: api.GroupSetPatch) -> api.GroupSet:
    """Other names for the same groups."""
    return groups.update(store, group_set_id, patch)


@router.delete("/group-sets/{group_set_id}", status_code=204, dependencies=[EDITOR])
def delete(store: StoreDep, group_set_id: int, force: bool = False) -> None:
    """Delete it. One that people labelled in needs `force`, and is only put away: labels are never lost."""
    groups.delete(store, group_set_id, force=force)


@router.get("/group-sets/{group_set_id}/queue", dependencies=[VIEWER])
def queue(
    store: StoreDep,
    group_set_id: int,
    label: int | None = None,
    order: LabelOrder = LabelOrder.EXTREMES,
    after: Cursor = None,
    limit: Limit = 60,
    only_open: bool = False,
) -> api.LabelQueue:
    """One page of what there is to label."""
    return groups.queue(store, group_set_id, label=label, order=order, after=after, limit=limit, only_open=only_open)


@router.post("/group-sets/{group_set_id}/labels", dependencies=[LABELER])
def write(store: StoreDep, who: Who, group_set_id: int, batch: api.LabelBatch) -> api.LabelResult:
    """Store key presses at once; the same key again changes nothing. Where people log in, they label as themselves."""
    return groups.write(store, group_set_id, batch.model_copy(update={"annotator": _annotator(who, batch.annotator)}))


@router.post("/group-sets/{group_set_id}/undo", dependencies=[LABELER])
def undo(store: StoreDep, who: Who, group_set_id: int, body: api.AnnotatorBody) -> api.LabelResult:
    """Take back this annotator's last label."""
    return groups.undo(store, group_set_id, _annotator(who, body.annotator))


@router.post("/group-sets/{group_set_id}/redo", dependencies=[LABELER])
def redo(store: StoreDep, who: Who, group_set_id: int, body: api.AnnotatorBody) -> api.LabelResult:
    """Bring back the label that was undone last."""
    return groups.redo(store, group_set_id, _annotator(who, body.annotator))


@router.get("/group-sets/{group_set_id}/export", response_class=Response, dependencies=[VIEWER])
def export(store: StoreDep, group_set_id: int, format: Literal["csv", "jsonl"] = "csv") -> Response:
    """Every validation example with its group."""
    return attachment(groups.export(store, group_set_id, format))


def _annotator(who: Identity, given: str) -> str:
    """Without users the page's own word counts; a person who logged in cannot label as another."""
    return given if who.user_id is None else who.name
