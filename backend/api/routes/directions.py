"""Directions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import StoreDep
from backend.api.rights import EDITOR, VIEWER
from backend.services import directions
from unskew.schemas import api

router = APIRouter(tags=["directions"])


@router.get("/projects/{slug}/directions", dependencies=[VIEWER])
def list_directions(store: StoreDep, slug: str, label: int | None = None) -> list[api.Direction]:
    """Directions of the newest attribution that has any, by class, then by share."""
    return directions.list_directions(store, slug, label)


@router.get("/directions/{direction_id}", dependencies=[VIEWER])
def get(store: StoreDep, direction_id: int) -> api.DirectionDetail:
    """One direction with its scree and histogram."""
    return directions.get(store, direction_id)


@router.patch("/directions/{direction_id}", dependencies=[EDITOR])
def update(store: StoreDep, direction_id: int, patch: api.DirectionPatch) -> api.DirectionDetail:
    """Name it, note something, flip its sign, or discard it."""
    return directions.update(store, direction_id, patch)


@router.get("/directions/{direction_id}/strips", dependencies=[VIEWER])
def strips(
    store: StoreDep,
    direction_id: int,
    n: Annotated[int, Query(ge=1, le=200)] = 24,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[api.Strip]:
    """Both ends of both strips, the extreme first."""
    return directions.strips(store, direction_id, n=n, offset=offset)
