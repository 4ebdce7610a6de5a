"""What keeps other web sites out while there is no login: a browser on this machine can be made to call us.

wrong Host          a foreign name that was made to point here (DNS rebinding)  → 421
foreign Origin      a page of another site that posts to us                      → 403
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api import problems

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware in front of API and dashboard."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if urlsplit(f"//{host}").hostname not in self.hosts:
            refusal = problems.response(
                "request",
                421,
                f"This server does not answer to {host!r}.",
                "Open it as http://127.0.0.1 with its port.",
            )
        elif unsafe and origin is not None and urlsplit(origin).netloc != host:
            refusal = problems.response("request", 403, f"Pages of {origin} may not do this here.")
        else:
            await self.app(scope, receive, _with_headers(send))
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await refusal(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
        await send(message)

    return sending
