"""Serving on one port: of this machine for whoever sits at it, of every network for people who log in."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Collection

import uvicorn

from backend import logs
from backend.api.app import create_app
from backend.api.base_path import BasePath, cleaned
from backend.api.guard import LOOPBACK
from backend.auth import oidc
from backend.services import accounts
from backend.store.db import Store
from unskew.errors import ConflictError, SettingsError

API_URL = "UNSKEW_API_URL"  # how the dashboard finds the API
BASE_PATH = "UNSKEW_BASE_PATH"  # and how browsers do
GRACE_SECONDS = 5
SWITCH_SECONDS = 0.001  # between threads: a request that only waits for its turn passes one that counts
KEEP_ALIVE_SECONDS = 75  # longer than proxies and people pause: closing meets a request that is on its way
ANYWHERE = ("0.0.0.0", "::")


def check_address(store: Store, host: str, port: int) -> None:
    """Whether the server may and can listen there.

    Raises:
        SettingsError: another address than this machine's own, and there is nobody yet who could log in.
        ConflictError: the port is in use, or may not be used.
    """
    if host not in LOOPBACK and not accounts.must_log_in(store):
        raise SettingsError(
            f"Unskew has no users yet, so it does not listen on {host!r}: whoever reaches it could read and delete.",
            fix="Add one first: unskew user add NAME --role admin. Or stay on 127.0.0.1, with an SSH tunnel from "
            "elsewhere: ssh -L 8501:127.0.0.1:8501 THIS-MACHINE",
        )
    if not 0 < port < 65_536:
        raise SettingsError(f"Port {port} is out of range.", fix="Choose one from 1024 to 65535 with --port.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just given up is free
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _refused(host, port, error) from None


def _refused(host: str, port: int, error: OSError) -> ConflictError:
    if error.errno == errno.EACCES:
        return ConflictError(f"Port {port} needs more rights.", fix="Choose one from 1024 on with --port.")
    if error.errno != errno.EADDRINUSE:
        return ConflictError(
            f"Port {port} of {host} cannot be used: {error.strerror}.", fix="Choose another with --port."
        )
    who = "another Unskew" if _is_unskew(host, port) else "another program"
    return ConflictError(f"Port {port} is in use by {who}.", fix=f"End it, or choose another: --port {port + 1}")


def _is_unskew(host: str, port: int) -> bool:
    import httpx

    try:
        name = f"[{host}]" if ":" in host else host
        return "unskew" in httpx.get(f"http://{name}:{port}/healthz", timeout=1.0, trust_env=False).text
    except httpx.HTTPError:
        return False


def serve(
    store: Store,
    host: str = "127.0.0.1",
    port: int = 8501,
    *,
    ui: bool = True,
    names: Collection[str] = (),
    proxy: str | None = None,
    base_path: str = "",
) -> None:
    """Serve API and dashboard until SIGINT or SIGTERM.

    Args:
        names: host names that people use for this server; on another address than this machine's own, none means any.
        proxy: address of a reverse proxy whose X-Forwarded-For and -Proto are believed.
        base_path: path of the proxy's site that leads here, such as "/unskew"; "": all of it.

    Raises:
        SettingsError, ConflictError: see `check_address`, `cleaned` and `logs.configure`.
    """
    check_address(store, host, port)
    base = cleaned(base_path)
    logs.configure()
    local = host in LOOPBACK
    inner = host if local else "127.0.0.1" if host in ANYWHERE else host
    os.environ[API_URL] = f"http://{f'[{inner}]' if ':' in inner else inner}:{port}"  # the dashboard reads it at start
    os.environ[BASE_PATH] = base
    hosts = LOOPBACK | {host, *names} if local or names else None
    app = create_app(store, ui=ui, hosts=hosts, local=local and proxy is None, provider=oidc.from_environment())
    config = uvicorn.Config(
        BasePath(app, base) if base else app,
        host=host,
        port=port,
        log_level="warning",
        log_config=None,  # ours
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
    )
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.Server(config).run()
