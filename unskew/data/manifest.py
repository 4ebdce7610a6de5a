"""Reader of manifests: a table with a path, a label and a split; every other column becomes an attribute."""

from __future__ import annotations

from pathlib import Path

from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import TABLE_SUFFIXES, clean, read_table
from unskew.schemas.params import ImportParams

MANIFESTS = tuple(f"manifest{suffix}" for suffix in TABLE_SUFFIXES)


def is_manifest(source: Path) -> bool:
    """A table file, or a folder that holds one called "manifest"."""
    if source.is_dir():
        return _manifest_in(source) is not None
    return source.suffix.lower() in TABLE_SUFFIXES


def read_manifest(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Read every row; None when the columns are not there or the file cannot be read at all."""
    file = _manifest_in(source) if source.is_dir() else source
    if file is None:
        problems.add(None, source.name, "", f"The folder holds no manifest. Name it {' or '.join(MANIFESTS)}.")
        return None
    table = read_table(file, problems)
    if table is None or not _columns_there(table.header, params, problems):
        return None
    columns = dict(zip(table.header, table.columns, strict=True))
    # Blanks around a path may belong to it; around anything else they are a slip.
    paths = columns.pop(params.path_column)
    labels = [clean(value) for value in columns.pop(params.label_column)]
    split = columns.pop(params.split_column, None)
    warnings = []
    if columns.pop("", None) is not None:
        warnings.append("A column without a name was ignored.")
    if not paths and problems.n == 0:
        problems.add(None, file.name, "", "The manifest has no rows.")
    return Rows(
        root=file.parent,
        paths=paths,
        labels=labels,
        split=None if split is None else [value.strip() for value in split],
        attributes={name: [clean(value) for value in column] for name, column in columns.items()},
        lines=table.lines,
        path_field=params.path_column,
        label_field=params.label_column,
        split_field=params.split_column,
        warnings=warnings,
    )


def _manifest_in(folder: Path) -> Path | None:
    return next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)


def _columns_there(header: list[str], params: ImportParams, problems: Problems) -> bool:
    before, found = problems.n, ", ".join(header) if header else "none"
    needed = {"path_column": params.path_column, "label_column": params.label_column}
    for setting, name in needed.items():
        if name not in header:
            message = f"The column {name!r} is missing; found: {found}. Add it, or name another as {setting}."
            problems.add(1, name, found, message)
    if params.split_column not in header and params.validation_share == 0:
        problems.add(
            1,
            params.split_column,
            found,
            f"The column {params.split_column!r} is missing; found: {found}. "
            "Add it, or set validation_share to take the validation split from all rows.",
        )
    return problems.n == before
