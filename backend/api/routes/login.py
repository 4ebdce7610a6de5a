"""The login page, and logging out: plain HTML without a script, outside of API and dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader

from backend.api.deps import StoreDep
from backend.api.rights import COOKIE, identify
from backend.auth.limits import Brake, TooManyError
from backend.services import accounts
from backend.store.accounts import LOGIN_DAYS
from unskew.errors import LoginError, UnskewError

router = APIRouter(include_in_schema=False)
_PAGE = Environment(loader=FileSystemLoader(Path(__file__).parents[1]), autoescape=True).get_template("login.html")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
_brake = Brake()


def _page(
    next: str, *, name: str = "", problem: str = "", status: int = 200, out: bool = False, sign_on: str = ""
) -> HTMLResponse:
    page = _PAGE.render(next=next, name=name, problem=problem, out=out, sign_on=sign_on)
    return HTMLResponse(page, status_code=status, headers=_HEADERS)


@router.get("/login")
def login_page(request: Request, store: StoreDep, next: str = "/") -> Response:
    """The form; without users there is nothing to log in to."""
    if not accounts.must_log_in(store):
        return RedirectResponse("/", 303)
    return _page(inside(next), sign_on=request.app.state.sign_on)


@router.post("/login")
def log_in(
    request: Request,
    store: StoreDep,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Check name and password, and give the browser its cookie."""
    address = request.client.host if request.client else ""
    try:
        key = accounts.log_in(store, name, password, address, _brake)
    except LoginError as error:
        return refused(request, error, name=name, next=next)
    except TooManyError as error:
        made = refused(request, error, name=name, next=next, status=429)
        made.headers["Retry-After"] = str(round(error.seconds))
        return made
    return entered(request, key, next)


def refused(
    request: Request, error: UnskewError, *, name: str = "", next: str = "/", status: int = 401
) -> HTMLResponse:
    """The form again, with the reason."""
    problem = f"{error.what} {error.fix}"
    return _page(inside(next), name=name, problem=problem, status=status, sign_on=request.app.state.sign_on)


def entered(request: Request, key: str, next: str) -> Response:
    """On to the page, with the cookie."""
    made = RedirectResponse(inside(next), 303)
    made.set_cookie(
        COOKIE,
        key,
        max_age=LOGIN_DAYS * 86_400,
        httponly=True,
        samesite="lax",  # strict would show a login to everybody who follows a link to a page
        secure=request.url.scheme == "https",
    )
    return made


@router.get("/logout")
def logout_page(request: Request, store: StoreDep) -> Response:
    """Asks, because a change needs a button: a link of another site must not be able to log anybody out."""
    who = identify(store, request.headers, request.cookies, local=False)
    return RedirectResponse("/login", 303) if who is None else _page("", name=who.name, out=True)


@router.post("/logout")
def log_out(request: Request, store: StoreDep) -> Response:
    """End this browser's login."""
    key = request.cookies.get(COOKIE)
    if key:
        accounts.log_out(store, key)
    made = RedirectResponse("/login", 303)
    made.delete_cookie(COOKIE)
    made.headers["Clear-Site-Data"] = '"cache"'  # images that were kept for good are not the next person's
    return made


def inside(next: str) -> str:
    """A path of ours, never another site's: `//evil.example` and `/\\evil.example` are addresses to a browser."""
    parts = urlsplit(next.replace("\\", "/"))
    safe = not parts.scheme and not parts.netloc and next.startswith("/") and not next.startswith("//")
    return next if safe and next.isprintable() and "\\" not in next else "/"
