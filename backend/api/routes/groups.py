"""Group sets and labels."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from backend.api.deps import Cursor, Limit, StoreDep, attachment
from backend.api.rights import EDITOR, LABELER, VIEWER, Who
from backend.api.threads import in_turn
from backend.auth.identity import Identity
from backend.services import agreement as agreement_service
from backend.services import groups, influence, label_files
from unskew.schemas import api
from unskew.schemas.enums import LabelAction, LabelFormat, LabelOrder

router = APIRouter(tags=["groups"])

MAX_FILE = 64 * 1024**2


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
    view: int | None = None,
    annotator: str | None = None,
) -> api.LabelQueue:
    """One page of what there is to label; with `annotator`: as this person alone labelled it."""
    return groups.queue(
        store,
        group_set_id,
        label=label,
        order=order,
        after=after,
        limit=limit,
        only_open=only_open,
        view=view,
        annotator=annotator,
    )


@router.post("/group-sets/{group_set_id}/labels", dependencies=[LABELER])
async def write(store: StoreDep, who: Who, group_set_id: int, batch: api.LabelBatch) -> api.LabelResult:
    """Store key presses at once; the same key again changes nothing. Where people log in, they label as themselves."""
    batch = batch.model_copy(update={"annotator": _annotator(who, batch.annotator)})
    written = await in_turn(groups.put, store, group_set_id, batch)
    return await run_in_threadpool(groups.answer, store, LabelAction.SET, written)


@router.post("/group-sets/{group_set_id}/undo", dependencies=[LABELER])
async def undo(store: StoreDep, who: Who, group_set_id: int, body: api.AnnotatorBody) -> api.LabelResult:
    """Take back this annotator's last gesture: one label, or all that were given at once."""
    body = body.model_copy(update={"annotator": _annotator(who, body.annotator)})
    return await in_turn(groups.undo, store, group_set_id, body)


@router.post("/group-sets/{group_set_id}/redo", dependencies=[LABELER])
async def redo(store: StoreDep, who: Who, group_set_id: int, body: api.AnnotatorBody) -> api.LabelResult:
    """Bring back the gesture that was undone last."""
    body = body.model_copy(update={"annotator": _annotator(who, body.annotator)})
    return await in_turn(groups.redo, store, group_set_id, body)


@router.get("/group-sets/{group_set_id}/export", response_class=Response, dependencies=[VIEWER])
def export(store: StoreDep, group_set_id: int, format: LabelFormat = LabelFormat.CSV) -> Response:
    """Every validation example with its group."""
    return attachment(label_files.export(store, group_set_id, format))


@router.post("/group-sets/{group_set_id}/import", dependencies=[LABELER])
def load(
    store: StoreDep,
    who: Who,
    group_set_id: int,
    content: Annotated[bytes, Body(media_type="application/octet-stream", max_length=MAX_FILE)],
    format: LabelFormat = LabelFormat.CSV,
    annotator: Annotated[str, Query(min_length=1, max_length=48)] = "me",
    dry_run: bool = False,
) -> api.LabelImport:
    """Labels from a file like the exported one; all or none, every row that does not fit is named."""
    name = _annotator(who, annotator)
    return label_files.load(store, group_set_id, content, format, annotator=name, dry_run=dry_run)


@router.get("/group-sets/{group_set_id}/agreement", dependencies=[VIEWER])
def agreement(store: StoreDep, group_set_id: int) -> api.Agreement:
    """How far annotators agree with each other (Cohen's kappa) and with the suggestion."""
    return agreement_service.agreement(store, group_set_id)


@router.get("/group-sets/{group_set_id}/history", dependencies=[VIEWER])
def history(
    store: StoreDep,
    group_set_id: int,
    example_id: int | None = None,
    before: int | None = None,
    limit: Limit = 100,
) -> list[api.LabelEvent]:
    """What people did, newest first."""
    return agreement_service.history(store, group_set_id, example_id=example_id, before=before, limit=limit)


@router.get("/group-sets/{group_set_id}/influence", dependencies=[VIEWER])
def group_influence(
    store: StoreDep, group_set_id: int, group: int, n: Annotated[int, Query(ge=1, le=influence.TOP)] = 24
) -> api.Influence:
    """Training examples that help and hurt a group most: τ averaged over its validation examples."""
    return influence.of_group(store, group_set_id, group, n=n)


def _annotator(who: Identity, given: str) -> str:
    """Without users the page's own word counts; a person who logged in cannot label as another."""
    return given if who.user_id is None else who.name
