"""Saved views."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import StoreDep
from backend.api.rights import LABELER, VIEWER
from backend.services import browse
from unskew.schemas import api

router = APIRouter(tags=["views"])


@router.get("/projects/{slug}/views", dependencies=[VIEWER])
def list_views(store: StoreDep, slug: str) -> list[api.SavedView]:
    """Saved views, newest first."""
    return browse.list_views(store, slug)


@router.post("/projects/{slug}/views", status_code=201, dependencies=[LABELER])
def create(store: StoreDep, slug: str, wanted: api.ViewCreate) -> api.SavedView:
    """Save filters, or the examples that were picked."""
    return browse.create_view(store, slug, wanted)


@router.get("/views/{view_id}", dependencies=[VIEWER])
def get(store: StoreDep, view_id: int) -> api.SavedView:
    """One view."""
    return browse.get_view(store, view_id)


@router.delete("/views/{view_id}", status_code=204, dependencies=[LABELER])
def delete(store: StoreDep, view_id: int) -> None:
    """Delete it; its examples and their labels stay."""
    browse.delete_view(store, view_id)
