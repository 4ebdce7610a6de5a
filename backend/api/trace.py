"""Every request gets an id, a line in the log and its place in the metrics.

The id is the caller's own (`X-Request-ID`, as a proxy sends it) or a new one; it comes back in the answer's header, in
the body of every problem, and in all that is logged meanwhile.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.base_path import inside
from backend.api.metrics import Metrics
from backend.logs import request_id

log = logging.getLogger("unskew.request")
HEADER = b"x-request-id"
_GOOD = re.compile(rb"[A-Za-z0-9._-]{1,64}")
UNWATCHED = ("/healthz", "/readyz", "/metrics")  # asked for every few seconds: they would drown the rest


class Trace:
    """ASGI middleware; the outermost of ours, so that what the others refuse is seen too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        own = given if _GOOD.fullmatch(given) else uuid.uuid4().hex[:16].encode()
        request_id.set(own.decode())  # never reset: the handler of our own bugs runs further out, in this same task
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() != HEADER]
                message["headers"] = [*kept, (HEADER, own)]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        if inside(scope) in UNWATCHED:
            return
        route = _route(scope)
        self.metrics.request(scope["method"], route, status, seconds)
        who = scope.get("state", {}).get("who")
        log.info(
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 1),
                "who": getattr(who, "name", None),
            },
        )


def _route(scope: Scope) -> str:
    """The path as declared, so that there are as many series as routes; all of the dashboard is one."""
    declared = getattr(scope.get("route"), "path", None)
    if declared is not None:
        return str(declared)
    return "(api)" if inside(scope).startswith("/api/") else "(dashboard)"
