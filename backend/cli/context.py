"""What every command shares: where the data lies, how results and errors are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from backend.store.db import Store
from unskew.errors import UnskewError

out = Console()
err = Console(stderr=True)

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="UNSKEW_DATA", help="Folder with the database and the artifacts.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ProjectArgument = Annotated[str, typer.Argument(help="The project's short name, as `unskew projects` lists it.")]


@contextmanager
def opened(data: Path | None) -> Iterator[Store]:
    """The store in `data`, closed at the end."""
    store = Store.open(data)
    try:
        yield store
    finally:
        store.close()


def seeds(text: str) -> list[int]:
    """`0,1,2` or `3` (which means 0, 1, 2) as a list of seeds."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"got {text!r}; say how many (3) or which (0,1,2)") from None
    if not numbers or min(numbers) < 0 or (len(numbers) == 1 and "," not in text and numbers[0] < 1):
        raise typer.BadParameter(f"got {text!r}; say how many (3) or which (0,1,2)")
    return list(range(numbers[0])) if len(numbers) == 1 and "," not in text else numbers


def emit(result: BaseModel | dict[str, Any] | list[Any], as_json: bool, text: str | Table | None = None) -> None:
    """Print a result: as JSON for programs, or as `text` for people."""
    if as_json:
        sys.stdout.write(json.dumps(_plain(result), indent=2, allow_nan=False) + "\n")
    elif text is not None:
        out.print(text)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def show_error(error: UnskewError, as_json: bool) -> None:
    """What is wrong, where, and how to mend it."""
    if as_json:
        problem = {
            "error": error.code,
            "detail": error.what,
            "fix": error.fix,
            "rows": [vars(row) for row in error.rows],
        }
        sys.stdout.write(json.dumps(problem, indent=2) + "\n")
        return
    err.print(f"[bold red]{error.what}[/]", highlight=False, soft_wrap=True)
    if error.rows:
        table = Table("row", "field", "value", "what is wrong", show_edge=False)
        for row in error.rows[:20]:
            table.add_row("" if row.row is None else str(row.row), row.field, row.value, row.message)
        err.print(table)
        if len(error.rows) > 20:
            err.print(f"… and {len(error.rows) - 20} more rows.")
    if error.fix:
        err.print(error.fix, highlight=False, soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[str]], *, sections: Collection[int] = ()) -> Table:
    """As narrow as a terminal asks for without cutting a word: phrases wrap first, and padding goes where it is tight.

    Args:
        sections: numbers of rows that a line is drawn below.
    """
    cells = [[name, *(row[i] for row in rows)] for i, name in enumerate(columns)]
    least = [max((len(word) for text in column for word in text.split()), default=0) for column in cells]
    widths = [max((len(line) for text in column for line in text.splitlines()), default=0) for column in cells]
    padding = 1 if sum(widths) + 3 * len(columns) <= out.width else 0
    room = out.width - (2 * padding + 1) * len(columns)
    while sum(widths) > room and widths != least:
        widest = max(range(len(columns)), key=lambda i: widths[i] - least[i])  # has most to gain from wrapping
        widths[widest] -= 1
    made = Table(title=title, title_justify="left", show_edge=False, padding=(0, padding))
    for name, width in zip(columns, widths, strict=True):
        made.add_column(name, width=width)
    for number, row in enumerate(rows):
        made.add_row(*row, end_section=number in sections)
    return made
