"""`unskew bench …`: measurements of the library, run in a process of their own because they need torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

from backend.cli.context import JsonOption, emit, table
from unskew.errors import UnskewError


def register(app: typer.Typer) -> None:
    commands = typer.Typer(no_args_is_help=True, help="Measure speed and memory on this machine.")
    for command in (attribution, scale):
        commands.command()(command)
    app.add_typer(commands, name="bench")


def attribution(
    examples: Annotated[int, typer.Option(min=64, help="Random examples a pass.")] = 512,
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


def _measured(kind: str, **options: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", "unskew.bench", kind]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise UnskewError(f"The measurement ended with code {process.returncode}.", fix="The reason stands above.")
    found: dict[str, Any] = json.loads(process.stdout)
    return found
