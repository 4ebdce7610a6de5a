"""How much a request may send: a body beyond the limit is refused before it fills the memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api import problems

MAX_BODY_BYTES = 64 * 1024**2  # a file of labels for a million examples has 40 MB


class BodyLimit:
    """ASGI middleware: goes by the announced length, and counts where none is announced."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self.limit:
            await self._refuse(int(announced), scope, receive, send)
            return
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooMuch
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooMuch:
            if started:
                raise
            await self._refuse(seen, scope, receive, send)

    async def _refuse(self, size: int, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body has {size:,} bytes or more; the limit is {self.limit:,}."
        await problems.response("request", 413, detail, "Send it in parts.")(scope, receive, send)


class _TooMuch(BaseException):
    """Past every handler of the application, which would make a 500 or a 400 of it."""
