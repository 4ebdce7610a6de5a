"""What runs here: versions, settings and limits as they are in force, and what the data takes on disk."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import make_url

from backend import logs
from backend.services import accounts, garbage, plugins
from backend.store import transfer
from backend.store.accounts import LOGIN_DAYS
from backend.store.db import BUSY_SECONDS, Store
from unskew.data.limits import MAX_ARRAY_BYTES, MAX_IMAGE_BYTES, MAX_TABLE_BYTES
from unskew.schemas import api

PACKAGES = ("unskew", "torch", "numpy", "fastapi", "streamlit", "sqlalchemy", "dbos", "psycopg")


def info(store: Store, *, names: str, max_body_bytes: int) -> api.ServerInfo:
    """For the person who looks after the server; no secret is in it.

    Args:
        names: host names that it answers to, in words.
    """
    with store.read() as session:
        revision = transfer.version(session)
    return api.ServerInfo(
        versions={"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        revision=revision,
        settings={
            "data folder": str(store.data),
            "database": make_url(store.url).render_as_string(hide_password=True),
            "answers to": names,
            "people log in": "yes" if accounts.must_log_in(store) else "no: this machine only",
            "a login lasts": f"{LOGIN_DAYS} days",
            "log": "json" if logs.is_json() else "text",
        }
        | {
            f"{kind}s by import path": ", ".join(plugins.allowed(kind)) or "none over the network"
            for kind in plugins.KINDS
        },
        limits={
            "a request's body": max_body_bytes,
            "a table": MAX_TABLE_BYTES,
            "an image": MAX_IMAGE_BYTES,
            "an archive of arrays, unpacked": MAX_ARRAY_BYTES,
        },
        wait_seconds=BUSY_SECONDS,
        disk=garbage.usage(store),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
