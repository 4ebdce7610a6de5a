"""Directions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from backend.api.deps import StoreDep
from backend.api.rights import EDITOR, VIEWER
from backend.services import directions, influence
from backend.services import scatter as scatter_service
from unskew.schemas import api

router = APIRouter(tags=["directions"])

End = Annotated[Literal[-1, 1], BeforeValidator(int)]


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


@router.get("/directions/{direction_id}/scatter", dependencies=[VIEWER])
def scatter(
    store: StoreDep,
    direction_id: int,
    other: int,
    attribute: str | None = None,
    group_set: int | None = None,
    limit: Annotated[int, Query(ge=2, le=scatter_service.MAX_POINTS)] = scatter_service.MAX_POINTS,
) -> api.Scatter:
    """The class's validation examples along two of its directions, as columns."""
    return scatter_service.scatter(
        store, direction_id, other_id=other, attribute=attribute, group_set=group_set, limit=limit
    )


@router.get("/directions/{direction_id}/histogram", dependencies=[VIEWER])
def histogram(
    store: StoreDep, direction_id: int, attribute: str | None = None, group_set: int | None = None
) -> api.Histogram:
    """Projections told apart by an attribute, by a group set, or by right and wrong."""
    return scatter_service.histogram(store, direction_id, attribute=attribute, group_set=group_set)


@router.get("/directions/{direction_id}/influence", dependencies=[VIEWER])
def end_influence(
    store: StoreDep, direction_id: int, end: End, n: Annotated[int, Query(ge=1, le=influence.TOP)] = 24
) -> api.Influence:
    """Training examples that help and hurt the extreme validation examples at one end most."""
    return influence.of_end(store, direction_id, end, n=n)
