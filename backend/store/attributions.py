"""Attributions and the directions found in them."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import ConflictError, NotFoundError
from unskew.schemas.enums import Engine

FEATURES = "features"
ATTRIBUTION = "attribution"
DIRECTIONS = "directions"
PROXIES = "proxies"  # among the diagnostics


def find(session: Session, key: str) -> tables.Attribution | None:
    return session.scalar(select(tables.Attribution).where(tables.Attribution.key == key))


def list_attributions(session: Session, project_id: int) -> list[tables.Attribution]:
    """Newest first."""
    query = select(tables.Attribution).where(tables.Attribution.project_id == project_id)
    return list(session.scalars(query.order_by(tables.Attribution.id.desc())))


def engine_of(row: tables.Attribution) -> Engine | str:
    """What made it; an import path: a function of somebody's own."""
    name = str(row.params["engine"])
    return name if ":" in name else Engine(name)


_NEWEST = (
    select(tables.Attribution.run_ids, tables.Attribution.artifact)
    .where(tables.Attribution.project_id == bindparam("project_id"))
    .order_by(tables.Attribution.id.desc())
    .limit(1)
)


def newest(session: Session, project_id: int) -> tuple[list[int], str] | None:
    """Run ids and artifact of the newest, nothing else of the row: every page with predictions asks. None: none yet."""
    found = session.execute(_NEWEST, {"project_id": project_id}).first()
    return None if found is None else (found[0], found[1])


def chosen(session: Session, project_id: int, attribution_id: int | None) -> tables.Attribution:
    """The one asked for, or the project's newest."""
    found = list_attributions(session, project_id)
    if attribution_id is None:
        if not found:
            raise ConflictError("Nothing has been attributed yet.", fix="Attribute the ERM checkpoints first.")
        return found[0]
    for row in found:
        if row.id == attribution_id:
            return row
    raise NotFoundError(f"This project has no attribution {attribution_id}.")


def directions(session: Session, attribution_id: int, label: int | None = None) -> list[tables.Direction]:
    """By class, then index; of the newest discovery of this attribution."""
    newest = select(tables.Direction.key).where(tables.Direction.attribution_id == attribution_id)
    key = session.scalar(newest.order_by(tables.Direction.id.desc()).limit(1))
    query = select(tables.Direction).where(
        tables.Direction.attribution_id == attribution_id, tables.Direction.key == key
    )
    if label is not None:
        query = query.where(tables.Direction.label == label)
    return list(session.scalars(query.order_by(tables.Direction.label, tables.Direction.index)))


def found_with(session: Session, row: tables.Direction) -> list[tables.Direction]:
    """A direction and the others of its class, found by the same discovery."""
    table = tables.Direction
    same = (table.attribution_id == row.attribution_id, table.key == row.key, table.label == row.label)
    return list(session.scalars(select(table).where(*same).order_by(table.index)))


def newest_directions(session: Session, project_id: int) -> list[tables.Direction]:
    """Those of the newest attribution that has any, by class, then index."""
    for row in list_attributions(session, project_id):
        found = directions(session, row.id)
        if found:
            return found
    return []


def direction(session: Session, direction_id: int) -> tables.Direction:
    row = session.get(tables.Direction, direction_id)
    if row is None:
        raise NotFoundError(f"There is no direction {direction_id}.")
    return row
