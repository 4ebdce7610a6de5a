"""Starting jobs from a page: one call, one message, one redraw."""

from __future__ import annotations

import streamlit as st

from frontend import api
from frontend.components.code import as_python, code
from frontend.components.messages import attempt
from frontend.components.shell import KIND_NAMES
from unskew.schemas.enums import JobKind
from unskew.schemas.params import Params


def start(project: str, kind: JobKind, params: Params) -> None:
    """Queue a job and redraw; errors are shown in place."""
    if attempt(lambda: api.start(project, kind, params), done=f"{KIND_NAMES[kind]}: queued"):
        st.rerun()


def job_code(project: str, kind: JobKind, params: Params, *, key: str) -> None:
    """“Code” of a form that starts a job, with what was last sent from it."""
    body = {"kind": kind.value, "params": params.model_dump(mode="json", exclude_unset=True)}
    python = f'client.start_job("{project}", "{kind}", {as_python(params)})'
    code(python, "POST", f"/projects/{project}/jobs", key=key, body=body)


def seeds_input(label: str, *, key: str, default: int, help: str | None = None, width: int = 120) -> list[int]:
    """Seeds 0 … n−1: people choose how many, reports name them."""
    n = st.number_input(
        label, min_value=1, max_value=50, value=default, key=key, width=width, help=help or "Seeds 0 to n − 1."
    )
    return list(range(int(n)))
