"""Job kinds: each module plans a job into steps and runs one. Imported when first needed: torch takes seconds."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from unskew.schemas.enums import JobKind
from workers.context import Kind

MODULES: dict[JobKind, str] = {
    JobKind.IMPORT: "import_",
    JobKind.TRAIN: "train",
    JobKind.IMPORT_CHECKPOINTS: "import_checkpoints",
    JobKind.ATTRIBUTE: "attribute",
    JobKind.IMPORT_ATTRIBUTION: "import_attribution",
    JobKind.DISCOVER: "discover",
    JobKind.SCORE: "score",
    JobKind.SEARCH_K: "search_k",
    JobKind.RETRAIN: "retrain",
    JobKind.BATTERY: "battery",
    JobKind.LDS: "lds",
    JobKind.CONTINUE: "continue_",
}


def kind(name: JobKind) -> Kind:
    """The module of a job kind."""
    return cast(Kind, import_module(f"workers.jobs.{MODULES[name]}"))
