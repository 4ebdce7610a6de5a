"""For whoever watches over the process: is it up, can it work. No login, and nothing about anybody's data."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import StoreDep
from backend.services import jobs

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"unskew": "ok"}


@router.get("/readyz")
def ready(store: StoreDep) -> dict[str, str]:
    """The database answers too; a problem with status 503 or 507 when it does not."""
    jobs.health(store)
    return {"unskew": "ok"}
