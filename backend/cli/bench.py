"""`unskew bench …`: the library's speed, in a process of its own because it needs torch; the API's and the screens'."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli.context import DataOption, JsonOption, emit, opened, table
from backend.store import projects
from backend.store.db import Store
from unskew.errors import NotFoundError, UnskewError


def register(app: typer.Typer) -> None:
    commands = typer.Typer(no_args_is_help=True, help="Measure speed and memory on this machine.")
    for command in (attribution, scale, lds, api, ui, load, workers):
        commands.command()(command)
    app.add_typer(commands, name="bench")


def attribution(
    examples: Annotated[int, typer.Option(min=64, help="Random examples a pass.")] = 2048,
    repeats: Annotated[int, typer.Option(min=1, help="Passes of each kind, in turns; medians are printed.")] = 3,
    traker: Annotated[
        str, typer.Option(help="full: all 2,048 dimensions; short: 200, multiplied up; none: without.")
    ] = "short",
    as_json: JsonOption = False,
) -> None:
    """Time gradient features against their floor, one training pass, and traker on the CPU."""
    if traker not in ("full", "short", "none"):
        raise typer.BadParameter(f"--traker is {traker!r}; say full, short or none")
    found = _measured("attribution", examples=examples, repeats=repeats, traker=traker)
    rows = [
        [
            m["model"],
            *(f"{m[name]:.2f}" for name in ("floor_seconds", "features_seconds", "training_seconds")),
            *(f"{m[name]:.2f}" for name in ("ratio_to_floor", "ratio_to_training")),
            f"{m['speedup_over_traker']:,.0f} ×" if "speedup_over_traker" in m else "",
        ]
        for m in found["models"]
    ]
    columns = ["model", "floor s", "features s", "training s", "÷ floor", "÷ training", "faster than traker"]
    title = f"{found['n_examples']} examples in batches of {found['batch_size']}, {found['threads']} threads"
    emit(found, as_json, table(title, columns, rows))


def scale(
    train: Annotated[int, typer.Option(min=100, help="Training examples.")] = 1_280_000,
    targets: Annotated[int, typer.Option(min=10)] = 50_000,
    classes: Annotated[int, typer.Option(min=2)] = 1000,
    dim: Annotated[int, typer.Option(min=8, help="Numbers in a feature vector.")] = 4096,
    fraction: Annotated[float, typer.Option(min=0.001, max=1, help="Of the training examples and classes.")] = 1.0,
    folder: Annotated[str | None, typer.Option(help="Where the synthetic factors go. [default: a new one]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score, find directions and rank without the matrix, on synthetic factors; states memory before it starts."""
    options: dict[str, Any] = {"train": train, "targets": targets, "classes": classes, "dim": dim, "fraction": fraction}
    found = _measured("scale", **options, **({"folder": folder} if folder else {}))
    rows = [[stage, f"{seconds:.1f}"] for stage, seconds in found["stages"].items()]
    rows += [
        ["whole", f"{found['seconds']:.1f}"],
        ["whole, extrapolated to all", f"{found['extrapolated_seconds']:.0f}"],
        ["peak memory stated, GB", f"{found['stated_peak_bytes'] / 1e9:.2f}"],
        ["peak memory measured, GB", f"{found['peak_rss_bytes'] / 1e9:.2f}"],
    ]
    emit(found, as_json, table("Seconds", ["stage", ""], rows))


def lds(
    set_: Annotated[str, typer.Option("--set", help="demo, reviews, clinic or coloured.")],
    subsets: Annotated[int, typer.Option(min=2, help="Random halves, one model each.")] = 40,
    checkpoints: Annotated[int, typer.Option(min=1)] = 5,
    folder: Annotated[Path | None, typer.Option(help="Keeps what was trained. [default: a new one, deleted]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the set; another one is another draw of its examples.")] = 0,
    only_ours: Annotated[bool, typer.Option(help="Leave traker out, which takes most of the time.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare how well scores predict retraining: ours and traker's, on the same models."""
    if set_ not in ("demo", "reviews", "clinic", "coloured"):
        raise typer.BadParameter(f"--set is {set_!r}; say demo, reviews, clinic or coloured")
    options: dict[str, Any] = {"set": set_, "subsets": subsets, "checkpoints": checkpoints, "seed": seed}
    options |= {"folder": folder} if folder else {}
    found = _measured("lds", *(["--only-ours"] if only_ours else []), **options)
    rows = [
        [r["engine"], str(r["damping"]), str(r["q_power"]), "✓" if r["default"] else "", *_mean(r)]
        for r in found["rows"]
    ]
    rows += [
        [f"ours - {b['at_least']}", "", "holds" if b["holds"] else "missed", *_mean(b["lead"])]
        for b in found.get("bar", ())
    ]
    title = (
        f"LDS on {set_}: {found['n_train']:,} training examples, {found['n_targets']:,} targets, "
        f"{found['n_checkpoints']} checkpoints, {found['n_subsets']} halves"
    )
    emit(found, as_json, table(title, ["engine", "damping", "power of Q", "default", "mean", "95 % interval"], rows))


def _mean(found: dict[str, Any]) -> list[str]:
    if found["mean"] is None:
        return ["not finite", ""]
    low, high = found["interval"]
    return [f"{found['mean']:.3f}", f"{low:.3f} to {high:.3f}"]


ScratchOption = Annotated[
    Path | None, typer.Option(help="Where the tiled projects stay for the next time. [default: nowhere]")
]
DatabaseOption = Annotated[str | None, typer.Option(help="URL of an empty Postgres database. [default: SQLite]")]
ProjectOption = Annotated[str | None, typer.Option(help="The real project to tile. [default: the newest]")]


def api(
    rows: Annotated[int, typer.Option(min=1000, help="Examples of the tiled project.")] = 1_280_000,
    repeats: Annotated[int, typer.Option(min=1, help="Requests of each kind.")] = 200,
    project: ProjectOption = None,
    scratch: ScratchOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time extremes and pages of examples over HTTP, on a project made by tiling a real one."""
    from backend.bench.api import bench_api

    with opened(data) as store:
        found = bench_api(store, _slug(store, project), rows, repeats=repeats, scratch=scratch, tell=_tell)
    _emit_bars(found, as_json, "The API, one request after the other")


def ui(
    sizes: Annotated[str, typer.Option(help="Examples of the tiled projects, with commas.")] = "5000,50000,200000",
    visits: Annotated[int, typer.Option(min=0, help="Page visits of the memory test; 0: without.")] = 500,
    points: Annotated[int, typer.Option(min=0, help="Points of the scatter; 0: without.")] = 20_000,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each thing is done.")] = 20,
    project: ProjectOption = None,
    scratch: ScratchOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time first grid, page turns, keys and Discover in a real browser, and watch the memory of the web process."""
    from backend.bench.ui import bench_ui

    with opened(data) as store:
        given = [int(n) for n in sizes.split(",") if n]
        found = bench_ui(
            store,
            _slug(store, project),
            given,
            visits=visits,
            points=points,
            repeats=repeats,
            scratch=scratch,
            tell=_tell,
        )
    _emit_bars(found, as_json, "Screens in a real browser")


def _tell(bar: Any) -> None:
    typer.echo(bar.line(), err=True)


def _emit_bars(found: dict[str, Any], as_json: bool, title: str) -> None:
    from backend.bench import bars

    emit(found, as_json, table(title, bars.COLUMNS, bars.rows(found["bars"])))


def load(
    annotators: Annotated[int, typer.Option(min=0, help="People who label.")] = 50,
    browsers: Annotated[int, typer.Option(min=0, help="People who turn pages.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, max=900, help="For how long.")] = 300,
    database: DatabaseOption = None,
    project: ProjectOption = None,
    scratch: ScratchOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let many people label and read a copy of a project while it trains; times, errors and lost labels."""
    from backend.bench.load import bench_load

    with opened(data) as store:
        found = bench_load(
            store,
            _slug(store, project),
            annotators=annotators,
            browsers=browsers,
            seconds=seconds,
            url=database,
            scratch=scratch,
        )
    lines = [[name, *map(str, found[name].values())] for name in ("label", "read")]
    said = "met" if found["met"] else "missed"
    title = f"{found['database']}: {sum(found['errors'].values())} errors, {found['labels_lost']} labels lost; {said}"
    emit(found, as_json, table(title, ["request", "n", "median ms", "p95 ms", "max ms"], lines))


def workers(
    counts: Annotated[str, typer.Option(help="How many worker processes, with commas.")] = "1,2,4",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method.")] = 4,
    database: DatabaseOption = None,
    project: ProjectOption = None,
    scratch: ScratchOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one battery with several workers on copies of a project: seconds, and whether the results are the same."""
    from backend.bench.workers import bench_workers

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    with opened(data) as store:
        numbers = [int(n) for n in counts.split(",") if n]
        slug = _slug(store, project)
        found = bench_workers(store, slug, numbers, seeds=seeds, url=database, scratch=scratch, tell=tell)
    lines = [[str(value) for value in row.values()] for row in found["rows"]]
    title = f"{found['database']}, {found['cores']} cores"
    emit(found, as_json, table(title, ["workers", "seconds", "runs", "same results", "speedup"], lines))


def _slug(store: Store, given: str | None) -> str:
    with store.read() as session:
        if given:
            return str(projects.get(session, given).slug)
        known = projects.list_projects(session)
    if not known:
        raise NotFoundError("There is no project to tile.", fix="Run `unskew demo --once` first.")
    return str(known[0].slug)


def _measured(kind: str, *flags: str, **options: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", "unskew.bench", kind, *flags]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise UnskewError(f"The measurement ended with code {process.returncode}.", fix="The reason stands above.")
    found: dict[str, Any] = json.loads(process.stdout)
    return found
