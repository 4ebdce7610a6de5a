"""Living below a path of another site, such as `/unskew`: the one place that knows of it on the server.

Inside, routes and redirects are those of an application at "/", as everywhere. What comes in gets the path as ASGI's
`root_path`, and what sends a browser elsewhere gets it in front: `Location` and the paths of cookies. A proxy may pass
the path on or cut it off; both are understood.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unskew.errors import SettingsError

_GOOD = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_COOKIE_PATH = re.compile(rb"(;\s*path=)(/[^;]*)", re.IGNORECASE)


def cleaned(path: str) -> str:
    """`/unskew` for `unskew/` and the like; "" for none.

    Raises:
        SettingsError: it is no plain path.
    """
    made = "/" + path.strip("/")
    if made == "/":
        return ""
    if not _GOOD.fullmatch(made) or set(made.split("/")) & {".", ".."}:
        raise SettingsError(f"{path!r} cannot be a base path.", fix="Say something like --base-path /unskew.")
    return made


def inside(scope: Scope) -> str:
    """The path that was asked for, without what the server lies below."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


class BasePath:
    """ASGI middleware, around everything else."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        cut_off = not f"{scope['path']}/".startswith(f"{self.path}/")  # by the proxy
        before = self.path if cut_off else ""
        below: Scope = {
            **scope,
            "root_path": self.path,
            "path": before + scope["path"],
            "raw_path": before.encode() + (scope.get("raw_path") or scope["path"].encode()),
        }

        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [self._below(*header) for header in message.get("headers", ())]
            await send(message)

        await self.app(below, receive, sending)

    def _below(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        base = self.path.encode()
        if name.lower() == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            return name, base + value
        if name.lower() == b"set-cookie":
            return name, _COOKIE_PATH.sub(lambda found: found[1] + base + found[2].rstrip(b"/"), value)
        return name, value
