"""The server itself."""

from __future__ import annotations

import platform

from fastapi import APIRouter, Request

from backend.api.deps import StoreDep
from backend.api.limits import MAX_BODY_BYTES
from backend.api.rights import ADMIN, VIEWER
from backend.services import jobs, plugins, server
from unskew import __version__
from unskew.schemas import api

router = APIRouter(tags=["server"])


@router.get("/health", dependencies=[VIEWER])
def health(store: StoreDep) -> api.Health:
    """Whether the server answers, and whether a worker would take a job."""
    return jobs.health(store)


@router.get("/version", dependencies=[VIEWER])
def version() -> api.Version:
    """What is running."""
    return api.Version(unskew=__version__, python=platform.python_version(), api="v1")


@router.get("/workers", dependencies=[VIEWER])
def workers(store: StoreDep) -> list[api.WorkerInfo]:
    """Workers that are alive; each takes one job at a time."""
    return jobs.workers(store)


@router.get("/plugins", dependencies=[VIEWER])
def list_plugins() -> api.Plugins:
    """Import paths of models, trainers, engines, readers and report blocks that the server was started with."""
    return plugins.plugins()


@router.get("/server", dependencies=[ADMIN])
def server_info(request: Request, store: StoreDep) -> api.ServerInfo:
    """Versions, settings and limits in force, and what the data takes on disk."""
    hosts = request.app.state.hosts
    names = "any name" if hosts is None else ", ".join(sorted(hosts))
    return server.info(store, names=names, max_body_bytes=MAX_BODY_BYTES)
