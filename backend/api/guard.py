"""What stands in front of API and dashboard.

wrong Host          a foreign name that was made to point here (DNS rebinding)                → 421
foreign Origin      a page of another site that posts to us, or opens our websocket            → 403
cookie, no Origin   a change with a browser's login that does not say which page asks for it   → 403
nobody              a page, a file or the websocket of the dashboard without a login           → /login, 401

The API checks its callers itself, by role (`backend.api.rights`). Every answer gets the headers that keep a browser
from guessing types and from showing us inside another site's page.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api import problems
from backend.api.base_path import inside
from backend.api.rights import COOKIE, identify
from backend.store.db import Store

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/api/", "/r/", "/login", "/logout", "/healthz", "/readyz", "/metrics")  # these look after themselves
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"))
FRAME = (b"x-frame-options", b"SAMEORIGIN")


class Guard:
    """ASGI middleware.

    Args:
        hosts: names that requests may be addressed to; None: any, for servers that are reached under many names. Their
            callers log in, and a login belongs to one name.
        local: only this machine reaches the server; see `identify`.
    """

    def __init__(self, app: ASGIApp, store: Store, hosts: frozenset[str] | None = LOOPBACK, local: bool = True) -> None:
        self.app = app
        self.store = store
        self.hosts = hosts
        self.local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._foreign(scope) or await self._unknown(scope)
        if refusal is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _foreign(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if self.hosts is not None and _name(host) not in self.hosts:
            fix = "Open it as http://127.0.0.1 with its port, or allow this name: unskew up --name NAME."
            return problems.response("request", 421, f"This server does not answer to {host!r}.", fix)
        if unsafe and origin is not None and urlsplit(origin).netloc != host:
            return problems.response("request", 403, f"Pages of {origin} may not do this here.")
        if unsafe and origin is None and "authorization" not in headers and COOKIE in headers.get("cookie", ""):
            return problems.response(
                "request", 403, "A change with a browser's login must say where it comes from (Origin).", "Use a token."
            )
        return None

    async def _unknown(self, scope: Scope) -> Response | None:
        if inside(scope).startswith(OPEN):
            return None
        caller = HTTPConnection(scope)
        who = await to_thread.run_sync(
            lambda: identify(self.store, caller.headers, caller.cookies, local=self.local), abandon_on_cancel=True
        )
        if who is not None:
            return None
        if scope["type"] == "http" and "text/html" in caller.headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse("/login?next=" + quote(inside(scope) + (f"?{query}" if query else "")), 303)
        return problems.response("login", 401, "Nobody is logged in.", "Log in at /login.")


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that hold no address
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            framed = any(name.lower() == FRAME[0] for name, _ in given)
            message["headers"] = [*given, *HEADERS, *(() if framed else (FRAME,))]
        await send(message)

    return sending
