"""Code of one's own that may be named over the network: what the server was started with, by kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from unskew.errors import RightsError
from unskew.schemas import api
from unskew.schemas.enums import Engine, Layout, ReportBlockKind
from unskew.schemas.params import REFERENCE_MODELS, AttributeParams, ImportParams, ModelSpec, Params, TrainParams

KINDS = {  # kind → the variable that lists the import paths which are allowed, separated by commas
    "model": "UNSKEW_MODELS",
    "trainer": "UNSKEW_TRAINERS",
    "engine": "UNSKEW_ENGINES",
    "reader": "UNSKEW_READERS",
    "report block": "UNSKEW_REPORT_BLOCKS",
}
OURS = frozenset({"", "unskew.models:resnet18", *REFERENCE_MODELS.values()})  # "": as suits the data


def allowed(kind: str) -> list[str]:
    """Import paths of this kind, in the order in which they were given."""
    return [name.strip() for name in os.environ.get(KINDS[kind], "").split(",") if name.strip()]


def plugins() -> api.Plugins:
    return api.Plugins(
        models=allowed("model"),
        trainers=allowed("trainer"),
        engines=allowed("engine"),
        readers=allowed("reader"),
        report_blocks=allowed("report block"),
    )


def of_params(wanted: Params) -> list[tuple[str, str]]:
    """(kind, import path) of all code that a job's parameters name, ours included."""
    return list(_named(wanted))


def _named(wanted: Params) -> Iterator[tuple[str, str]]:
    for value in vars(wanted).values():
        if isinstance(value, ModelSpec):
            yield "model", value.factory
        elif isinstance(value, TrainParams) and value.trainer is not None:
            yield "trainer", value.trainer
    if isinstance(wanted, AttributeParams) and not isinstance(wanted.engine, Engine):
        yield "engine", wanted.engine
    if isinstance(wanted, ImportParams) and wanted.layout is not None and not isinstance(wanted.layout, Layout):
        yield "reader", wanted.layout


def of_blocks(blocks: Iterable[api.ReportBlock]) -> list[tuple[str, str]]:
    """Likewise of the blocks of a report."""
    return [("report block", block.kind) for block in blocks if not isinstance(block.kind, ReportBlockKind)]


def refuse_strange(named: Iterable[tuple[str, str]], known: Iterable[tuple[str, str]] = ()) -> None:
    """Refuse code that nobody at the machine has allowed.

    Args:
        known: what was named at the machine before.
    Raises:
        RightsError: with the variable that would allow it.
    """
    fine = {("model", path) for path in OURS} | set(known)
    for kind, path in named:
        if (kind, path) not in fine and path not in allowed(kind):
            raise RightsError(
                f"The {kind} {path!r} is code that would run on the server, and nobody at the machine has allowed it.",
                fix=f"Start the server with {KINDS[kind]}={path}, or name it on the command line.",
            )
