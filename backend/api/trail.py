"""The audit log: a line for every change that somebody asked for over HTTP, written before the answer goes out.

Labels are left out: each is an event of its own, with its annotator, in an append-only table.
"""

from __future__ import annotations

import logging
from typing import Any

from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.store import accounts, projects
from backend.store.db import Store

log = logging.getLogger("unskew.api")
OWN_LOG = ("/labels", "/undo", "/redo")


class Trail:
    """ASGI middleware; inside the Guard."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app = app
        self.store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or scope["path"].endswith(OWN_LOG):
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and state.get("who") is not None:
                await to_thread.run_sync(self._write, scope, state, message["status"])
            await send(message)

        await self.app(scope, receive, sending)

    def _write(self, scope: Scope, state: dict[str, Any], status: int) -> None:
        route = scope.get("route")
        action = f"{scope['method']} {getattr(route, 'path', scope['path'])}"
        subject = ", ".join(f"{name} {value}" for name, value in scope.get("path_params", {}).items())
        try:
            with self.store.session() as session:
                slug = projects.slug_of(session, state.get("project_id"))
                accounts.record(session, state["who"].name, action, subject, project=slug, status=status)
        except Exception:  # the change was made: its answer must go out
            log.exception("the audit log could not be written: %s %s %s", state["who"].name, action, subject)
