"""The proxies of a new attribution, with the project's labels."""

from __future__ import annotations

from typing import Any

from backend.store import projects
from unskew.attribution import Attribution, proxies
from unskew.schemas.enums import Split
from workers.context import Context


def proxies_of(context: Context, attribution: Attribution) -> dict[str, Any]:
    """As a diagnostic, JSON-able."""
    assert context.project_id is not None
    with context.store.read() as session:
        train, targets = (projects.labels(session, context.project_id, s) for s in (Split.TRAIN, Split.VALIDATION))
    return proxies(attribution, targets, train).model_dump(mode="json")
