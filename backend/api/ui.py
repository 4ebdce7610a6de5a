"""The dashboard on the API's own port: Streamlit mounted at "/". Its settings lie beside its entry, in `.streamlit`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unskew.errors import ServerError


def dashboard() -> Any:
    """Streamlit's application; one a process.

    The frontend is found by its place and never imported here: it talks to the API like any other client.
    """
    import streamlit

    found = find_spec("frontend")
    if found is None or not found.submodule_search_locations:
        raise ServerError("The dashboard is not installed.", fix="Install unskew again, or start with ui=False.")
    return streamlit.App(Path(found.submodule_search_locations[0]) / "app.py")


def first_page(request: Request) -> RedirectResponse:
    """`/projects` is `/`: Streamlit serves its first page there only, and says "Page not found" under its own name."""
    return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/", 307)


class Told:
    """ASGI middleware around Streamlit: its page says where its server is.

    Without it the page asks for that, first at a wrong address, and waits before it asks again: 0.2 s of every start.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "text/html" not in headers.get("accept", ""):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        page = b""

        async def sending(message: Message) -> None:
            nonlocal start, page
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            page += message.get("body", b"")
            if message.get("more_body", False):
                return
            page = page.replace(b"<head>", b"<head>" + _where(scope.get("root_path", "")), 1)
            # Nothing to ask by whether it has changed: the file on disk is another one.
            changed = (b"content-length", b"etag", b"last-modified")
            kept = [(name, value) for name, value in start.get("headers", ()) if name.lower() not in changed]
            await send({**start, "headers": [*kept, (b"content-length", str(len(page)).encode())]})
            await send({**message, "body": page})

        readable = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self.app({**scope, "headers": readable}, receive, sending)


def _is_page(start: Message) -> bool:
    kind = next((value for name, value in start.get("headers", ()) if name.lower() == b"content-type"), b"")
    return start["status"] == 200 and bytes(kind).startswith(b"text/html")


def _where(base: str) -> bytes:
    """A script for the page; no other site may send it messages."""
    config = {"useExternalAuthToken": False, "enableCustomParentMessages": False, "blockErrorDialogs": False}
    return (
        "<script>window.__streamlit = {"
        f"BACKEND_BASE_URL: location.origin + {json.dumps(base + '/')}, "
        f"HOST_CONFIG: {{...{json.dumps(config)}, allowedOrigins: [location.origin]}}"
        "}</script>"
    ).encode()
