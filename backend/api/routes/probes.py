"""For whoever watches over the process: is it up, can it work, how much does it do.

The first two need no login and say nothing about anybody's data.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backend.api.deps import StoreDep
from backend.api.metrics import MEDIA_TYPE
from backend.api.rights import Who
from backend.services import jobs
from unskew.schemas.enums import Role

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


@router.get("/metrics")
def metrics(request: Request, who: Who) -> Response:
    """Prometheus' text format. Where people log in: with the token of somebody who may view every project."""
    who.require(Role.VIEWER)
    return Response(request.app.state.metrics.text(), media_type=MEDIA_TYPE)
