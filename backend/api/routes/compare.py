"""Comparisons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import StoreDep
from backend.api.rights import EDITOR, VIEWER
from backend.services import battery as battery_service
from backend.services import compare as compare_service
from backend.services import confusion as confusion_service
from backend.services import flips as flip_service
from backend.services import reveals
from unskew.schemas import api
from unskew.schemas.enums import Split
from unskew.schemas.params import BatteryParams

router = APIRouter(prefix="/projects/{slug}", tags=["compare"])


@router.get("/compare", dependencies=[VIEWER])
def compare(
    store: StoreDep,
    slug: str,
    split: Split = Split.VALIDATION,
    attribute: str | None = None,
    group_set: int | None = None,
) -> api.Comparison:
    """Every method over its seeds; groups from an attribute or, on validation, from a group set."""
    return compare_service.compare(store, slug, split=split, attribute=attribute, group_set_id=group_set)


@router.get("/flips", dependencies=[VIEWER])
def flips(store: StoreDep, slug: str, before_run: int, after_run: int, split: Split = Split.TEST) -> api.Flips:
    """Examples that one run gets wrong and the other right."""
    return flip_service.flips(store, slug, before_run=before_run, after_run=after_run, split=split)


@router.get("/confusion", dependencies=[VIEWER])
def confusion(
    store: StoreDep,
    slug: str,
    runs: Annotated[list[int], Query()],
    split: Split = Split.VALIDATION,
    attribute: str | None = None,
    group_set: int | None = None,
) -> api.Confusion:
    """What each group is taken for, averaged over runs."""
    return confusion_service.confusion(
        store, slug, run_ids=runs, split=split, attribute=attribute, group_set_id=group_set
    )


@router.get("/test-reveals", dependencies=[VIEWER])
def list_reveals(store: StoreDep, slug: str) -> list[api.TestReveal]:
    """Who looked at test results, and when."""
    return reveals.list_reveals(store, slug)


@router.post("/test-reveals", status_code=201, dependencies=[EDITOR])
def reveal(store: StoreDep, slug: str, wanted: api.TestRevealCreate) -> api.TestReveal:
    """Write down that somebody looks at test now."""
    return reveals.reveal(store, slug, wanted)


@router.post("/battery/plan", dependencies=[VIEWER])
def battery_plan(store: StoreDep, slug: str, wanted: BatteryParams) -> api.BatteryPlan:
    """What a battery would run: methods, trainings and a guess of the time. Starts nothing: that is a job `battery`."""
    return battery_service.plan(store, slug, wanted)


@router.get("/battery/league", dependencies=[VIEWER])
def league(store: StoreDep, slug: str, split: Split = Split.TEST, attribute: str | None = None) -> list[api.LeagueRow]:
    """One row a method and seed."""
    return battery_service.league(compare_service.compare(store, slug, split=split, attribute=attribute))
