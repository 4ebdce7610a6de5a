"""Which role a route needs: said at the route, checked here, once a request.

    @router.get("/projects/{slug}", dependencies=[VIEWER])

The project is found from the path: a slug, or the number of anything that belongs to a project. `check_declared`
refuses to start an application with a route that says nothing, so that no route is open by being forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from backend.api.deps import StoreDep
from backend.auth.identity import LOCAL, Identity
from backend.store import accounts, owners
from backend.store.db import Store
from unskew.errors import LoginError, NotFoundError
from unskew.schemas.enums import Role

COOKIE = "unskew_login"


def identify(store: Store, headers: Any, cookies: Any, *, local: bool) -> Identity | None:
    """Who sends these headers and cookies; a header that is given decides alone.

    Args:
        local: the server can be reached from this machine only; as long as it has no users, nobody needs to log in.
    """
    with store.read() as session:
        return _identify(session, headers, cookies, local=local)


def _identify(session: Session, headers: Any, cookies: Any, *, local: bool) -> Identity | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else cookies.get(COOKIE)
    if key:
        return accounts.identify(session, key)
    return LOCAL if local and not accounts.any_user(session) else None


def _caller(session: Session, request: Request) -> Identity:
    """Who asks; found once a request."""
    known: Identity | None = getattr(request.state, "who", None)
    who = known or _identify(session, request.headers, request.cookies, local=request.app.state.local)
    if who is None:
        raise LoginError("Nobody is logged in.", fix="Log in at /login, or send a token: Authorization: Bearer ….")
    request.state.who = who
    return who


async def _identity(request: Request, store: StoreDep) -> Identity:
    known: Identity | None = getattr(request.state, "who", None)
    return known if known is not None else await run_in_threadpool(_looked_up, request, store)


def _looked_up(request: Request, store: Store) -> Identity:
    with store.read() as session:
        return _caller(session, request)


Who = Annotated[Identity, Depends(_identity)]


class Needs:
    """A dependency that lets a request pass if who sends it has the role in the project that its path leads to."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: Request, store: StoreDep) -> None:
        """In one session and one turn of the thread pool: pages of pictures ask hundreds of times."""
        request.state.project_id = None
        with store.read() as session:
            who = _caller(session, request)
            name, value = next(iter(request.path_params.items()), ("", ""))
            if not name or name in owners.WITHOUT_PROJECT:
                if self.role is not Role.VIEWER:  # what a viewer sees there, the route itself cuts to what is theirs
                    who.require(self.role)
                return
            try:
                project_id = owners.project_of(session, name, str(value))
                if project_id is None and who.visible is not None:
                    raise NotFoundError("There is no such thing.")
                request.state.project_id = project_id
            except NotFoundError:
                if who.visible is not None:  # a stranger learns as much about what is hidden as about what is not there
                    raise
        who.require(self.role, request.state.project_id)


VIEWER, LABELER, EDITOR, ADMIN = (Depends(Needs(role)) for role in Role)


def needed(route: APIRoute) -> Role | None:
    """The role that the route declares."""
    found = [d.dependency.role for d in route.dependencies if isinstance(d.dependency, Needs)]
    return found[0] if len(found) == 1 else None


def check_declared(routes: Iterable[BaseRoute]) -> None:
    """Refuse to build an application with a route that declares no role."""
    silent = [
        f"{sorted(route.methods or ())} {route.path}"
        for route in routes
        if isinstance(route, APIRoute) and needed(route) is None
    ]
    assert not silent, f"say dependencies=[VIEWER] or more (backend/api/rights.py) at: {silent}"
