"""`unskew backup`, `restore`, `export`, `load`, `delete`, `gc`, `usage`: what becomes of data over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from platformdirs import user_data_path

from backend.cli.context import DataOption, JsonOption, ProjectArgument, emit, opened, table
from backend.services import archive, garbage
from backend.services import backup as backup_service
from backend.services import projects as project_service
from unskew.charts.format import size


def register(app: typer.Typer) -> None:
    for command in (backup, restore, export, load, delete, gc, usage):
        app.command()(command)


def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy database and artifacts, as they are at one moment, while everything runs."""
    with opened(data) as store:
        made = backup_service.backup(store, file.absolute())
        emit(made, as_json, f"{made['file']}: {size(made['bytes'])}, {made['artifacts']} artifacts.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `unskew backup` wrote.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Unpack a backup into a new data folder, and check every checksum; rows go to UNSKEW_DATABASE_URL if it is set."""
    folder = Path(data or user_data_path("unskew")).expanduser().absolute()
    made = backup_service.restore(file, folder, os.environ.get("UNSKEW_DATABASE_URL"))
    emit(made, as_json, f"Restored into {made['data']}; every checksum fits.")


def export(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a whole project, images included, into one file."""
    with opened(data) as store:
        made = archive.write(store, project, file.absolute())
        emit(made, as_json, f"{made['file']}: {size(made['bytes'])}.")


def load(
    file: Annotated[Path, typer.Argument(help="A file that `unskew export` wrote.")],
    name: Annotated[str, typer.Option(help="Another name for it here.")] = "",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a project from its archive."""
    with opened(data) as store:
        slug = archive.read(store, file, name)
        emit({"project": slug}, as_json, f"Registered as {slug}.")


def delete(
    project: ProjectArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataOption = None,
) -> None:
    """Delete a project with its labels, results and files; the images it was imported from stay."""
    with opened(data) as store:
        found = project_service.get(store, project)
        if not yes:
            typer.confirm(f"Delete {found.name!r} with everything that was made in it?", abort=True)
        project_service.delete(store, project)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove artifacts that no row and no report names: features that were solved, and what was left behind."""
    with opened(data) as store:
        made = garbage.collect(store, dry_run=dry_run)
        what = f"{made['artifacts']} artifacts ({size(made['bytes'])}), {made['thumbnails']} thumbnails"
        emit(made, as_json, f"{'Would remove' if dry_run else 'Removed'} {what}.")


def usage(data: DataOption = None, as_json: JsonOption = False) -> None:
    """What the data folder holds, in bytes."""
    with opened(data) as store:
        found: dict[str, Any] = garbage.usage(store)
        rows = [[name, size(value)] for name, value in found.items()]
        emit(found, as_json, table(str(store.data), ["what", "size"], rows))
