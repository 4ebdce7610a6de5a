"""“Copy as Python / curl”: what a person just did or sees, as a line of the SDK and as a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from pydantic import BaseModel

from frontend import api
from frontend.address import home
from unskew.client import PREFIX


def code(python: str, method: str, path: str, *, key: str, body: BaseModel | dict[str, Any] | None = None) -> None:
    """A small box with both.

    Args:
        python: an expression on `client`, such as `client.projects()`.
        method, path: of the route, below `/api/v1`.
        body: what is sent.
    """
    with st.popover("Code", icon=":material/code:", type="tertiary", key=key, help="Copy as Python or curl"):
        st.code(python_text(python), language="python")
        st.code(curl_text(method, path, body), language="bash")


def python_text(expression: str) -> str:
    modules = [name for name in ("api", "params") if f"{name}." in expression.replace("client.", "")]
    head = ["import os", ""] if api.me().login else []
    head += ["from unskew.client import Client"]
    head += [f"from unskew.schemas import {', '.join(modules)}"] if modules else []
    token = ', token=os.environ["UNSKEW_TOKEN"]' if api.me().login else ""
    return "\n".join([*head, "", f'client = Client("{home()}"{token})', expression])


def curl_text(method: str, path: str, body: BaseModel | dict[str, Any] | None = None) -> str:
    """One command for a shell; quotes inside the body are safe there. Where people log in it takes their token."""
    login = ' -H "Authorization: Bearer $UNSKEW_TOKEN"' if api.me().login else ""
    url = f"{home()}{PREFIX}{path}"
    if method == "GET":
        return f"curl{login} '{url}'"
    if body is None:
        return f"curl{login} -X {method} '{url}'"
    values = body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else body
    text = json.dumps(values, ensure_ascii=False).replace("'", "'\\''")
    return f"curl{login} -X {method} '{url}' -H 'Content-Type: application/json' -d '{text}'"


def as_arguments(arguments: Mapping[str, Any]) -> str:
    """Keyword arguments as they are written in a call."""
    return ", ".join(f"{name}={(str(v) if isinstance(v, str) else v)!r}" for name, v in arguments.items())


def as_query(arguments: Mapping[str, Any]) -> str:
    """The same in an address."""
    return urlencode(arguments, doseq=True)


def as_python(body: BaseModel) -> str:
    """The body as its constructor call, set fields only: `api.DirectionPatch(sign=-1)`."""
    values = body.model_dump(mode="json", exclude_unset=True)
    module = type(body).__module__.rsplit(".", 1)[-1]
    return f"{module}.{type(body).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"
