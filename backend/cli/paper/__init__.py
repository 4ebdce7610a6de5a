"""`unskew paper`: the paper's experiments on those of its sets that are on this machine, beside the paper's figures.

Every stage is an ordinary job on an ordinary project, so that it can be stopped, resumed and looked at in the browser.
A project that is there already is gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import follow
from backend.cli.context import JsonOption, emit, opened, out, seeds
from backend.cli.paper.experiments import experiment_of
from backend.cli.paper.imagenet import imagenet
from backend.cli.paper.stages import Plan
from backend.cli.paper.tables import show
from unskew.data import recognise
from unskew.errors import SettingsError
from unskew.schemas import paper
from unskew.schemas.enums import Layout
from unskew.schemas.paper import EXPERIMENTS

IMAGENET = "imagenet"
SETS = (*(e.key for e in EXPERIMENTS), IMAGENET)


def register(app: typer.Typer) -> None:
    app.command("paper")(reproduce)


def reproduce(
    data: Annotated[Path, typer.Option("--data", help="Folder with the sets as they are published, see docs/data.md.")],
    into: Annotated[
        Path | None,
        typer.Option(envvar="UNSKEW_DATA", help="Folder with the database and the artifacts.", show_default=False),
    ] = None,
    sets: Annotated[str, typer.Option(help="all, or some of: " + ", ".join(SETS) + ".")] = "all",
    seeds_: Annotated[str, typer.Option("--seeds", help="How many (5) or which (0,1,2).")] = "5",
    search_seeds: Annotated[str, typer.Option(help="Seeds of the searches for K*.")] = "3",
    resnet: Annotated[
        Path | None, typer.Option(help="State dict of a ResNet-18 trained on ImageNet, for Waterbirds.")
    ] = None,
    bert: Annotated[
        Path | None, typer.Option(help="Folder with BERT's config, weights and tokenizer, for MultiNLI.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda:0, mps.")] = "cpu",
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Small models, one epoch, one seed: does it run to the end?")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Repeat the paper's Tables 1 to 3 and Figures 2, 4 and 6 on the sets found in a folder, beside its figures."""
    wanted = list(SETS) if sets.strip() == "all" else [name.strip() for name in sets.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in SETS]
    if unknown or not data.is_dir():
        what = f"There is no set {unknown[0]!r}." if unknown else f"There is no folder {str(data)!r}."
        raise SettingsError(what, fix=f"Sets are {', '.join(SETS)}." if unknown else "Check the path.")
    places = found_in(data.expanduser().absolute())
    given: dict[paper.Weights, Path | None] = {"resnet": resnet, "bert": bert}
    results: list[dict[str, Any]] = []
    with opened(into) as store:
        weights = {name: str(path.expanduser().absolute()) for name, path in given.items() if path is not None}
        plan = Plan(
            store,
            [0] if smoke else seeds(seeds_),
            [0] if smoke else seeds(search_seeds),
            {} if smoke else weights,
            smoke,
            as_json,
        )
        with follow.worker(store, device=device):
            for experiment in (e for e in EXPERIMENTS if e.key in wanted and e.layout in places):
                results.append(experiment_of(plan, experiment, places[experiment.layout]))
            if IMAGENET in wanted and Layout.IMAGENET in places:
                results.append(imagenet(plan, places[Layout.IMAGENET]))
    missing = [name for name in wanted if name not in {result["set"] for result in results}]
    made = {"sets": results, "missing": missing, "smoke": smoke}
    emit(made, as_json)
    if not as_json:
        for part in show(made):
            out.print(part)


def found_in(folder: Path) -> dict[Layout, Path]:
    """Where each set of the paper lies: the folder itself, or at most two below it."""
    found: dict[Layout, Path] = {}
    for place in _below(folder, depth=2):
        layout = recognise(place)
        if layout is Layout.CELEBA_BLOND:
            found.setdefault(Layout.CELEBA_AGE, place)
        if layout is not None:
            found.setdefault(layout, place)
    return found


def _below(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth and recognise(folder) in (None, Layout.FOLDER):  # nothing lies inside a set
        for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            yield from _below(inner, depth - 1)
