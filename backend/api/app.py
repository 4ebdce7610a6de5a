"""The application: `/api/v1`, `/docs`, view-only reports at `/r/…`, and the dashboard at everything else.

Routes are plain functions that run in a thread pool: the store is synchronous, and nothing here computes for long.
The process never imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi_offline import FastAPIOffline

from backend.api import problems
from backend.api.guard import LOOPBACK, Guard
from backend.api.limits import BodyLimit
from backend.api.metrics import Metrics
from backend.api.readable import READABLE
from backend.api.rights import check_declared
from backend.api.routes import (
    accounts,
    compare,
    directions,
    examples,
    groups,
    jobs,
    login,
    probes,
    projects,
    prune,
    reports,
    system,
    views,
)
from backend.api.threads import few_threads
from backend.api.trace import Trace
from backend.api.trail import Trail
from backend.auth.oidc import Provider
from backend.store.db import Store
from unskew import __version__
from unskew.errors import NotFoundError
from unskew.schemas import api

PREFIX = "/api/v1"
_ERROR = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PROBLEM: dict[int | str, dict[str, Any]] = {
    "4XX": _ERROR | {"description": "What is wrong, where, and how to mend it."},
    "5XX": _ERROR | {"description": "The disk is full, the database is busy, or a bug of ours."},
}


def create_app(
    store: Store,
    *,
    ui: bool = True,
    hosts: frozenset[str] | None = LOOPBACK,
    local: bool = True,
    provider: Provider | None = None,
) -> FastAPI:
    """The web application on a store.

    Args:
        ui: also mount the dashboard; False for tests and for servers without one.
        hosts: names that requests may be addressed to; None: any.
        local: it is reached from this machine only: nobody needs to log in as long as there are no users.
        provider: of single sign-on; None: passwords only.
    """
    mounted = None
    if ui:
        from backend.api.ui import Told, dashboard, first_page

        mounted = dashboard()
    app = FastAPIOffline(
        title="Unskew",
        version=__version__,
        summary="Find the biases that a classifier picked up from its data, and remove the examples that cause them.",
        lifespan=few_threads(None if mounted is None else mounted.lifespan()),
        redoc_url=None,
    )
    app.state.store, app.state.local, app.state.metrics = store, local, Metrics(store)
    app.state.hosts = hosts
    problems.install(app)
    app.add_middleware(Trail, store=store)
    app.add_middleware(BodyLimit)
    app.add_middleware(Guard, store=store, hosts=hosts, local=local)
    app.add_middleware(Trace, metrics=app.state.metrics)
    app.include_router(_v1(), prefix=PREFIX, responses=PROBLEM, dependencies=[READABLE])
    app.include_router(reports.shared)
    app.include_router(login.router)
    app.state.sign_on = ""
    if provider is not None:
        from backend.api.routes import oidc  # needs Authlib, which is optional

        oidc.install(app, provider)
    app.include_router(probes.router)
    app.add_api_route("/api/{rest:path}", _no_such_route, methods=_METHODS, include_in_schema=False)
    if mounted is not None:
        app.add_api_route("/projects", first_page, include_in_schema=False)
        app.mount("/", Told(mounted))
    app.openapi = _with_problem(app.openapi)  # type: ignore[method-assign]
    return app


def _with_problem(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The schema of every error, which FastAPI leaves out because no route returns one."""

    def described() -> dict[str, Any]:
        schema = openapi()
        whole = api.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= whole.pop("$defs") | {"Problem": whole}
        return schema

    return described


MODULES = (system, accounts, projects, examples, jobs, directions, groups, prune, compare, reports, views)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _v1() -> APIRouter:
    router = APIRouter()
    for module in MODULES:
        check_declared(module.router.routes)
        router.include_router(module.router)
    return router


def _no_such_route(request: Request) -> None:
    """Without this the dashboard would answer."""
    raise NotFoundError(f"There is no {request.method} {request.url.path}.", fix="See /docs for what there is.")
