"""Reader of manifests: a table with a label, a split, and a path, a text or columns of features.

With a path or a text every other column becomes an attribute; of a table of features, those that are named.
"""

from __future__ import annotations

from pathlib import Path

from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import TABLE_SUFFIXES, clean, read_table
from unskew.schemas.enums import DataKind
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
    kind = _kind([] if table is None else table.header, params)
    if table is None or not _columns_there(table.header, kind, params, problems):
        return None
    columns = dict(zip(table.header, table.columns, strict=True))
    # Blanks around a path may belong to it; around anything else they are a slip.
    is_file = kind is DataKind.IMAGE
    paths = columns.pop(params.path_column) if is_file else [f"{file.name}:{line}" for line in table.lines]
    texts = [text.strip() for text in columns.pop(params.text_column)] if kind is DataKind.TEXT else []
    labels = [clean(value) for value in columns.pop(params.label_column)]
    split = columns.pop(params.split_column, None)
    warnings = []
    if columns.pop("", None) is not None:
        warnings.append("A column without a name was ignored.")
    if not paths and problems.n == 0:
        problems.add(None, file.name, "", "The manifest has no rows.")
    columns = {name: [clean(value) for value in column] for name, column in columns.items()}
    features: dict[str, list[str]] = {}
    if kind is DataKind.TABLE:
        wanted = params.feature_columns or [name for name in columns if name not in params.attribute_columns]
        features = {name: columns[name] for name in wanted}
        columns = {name: columns[name] for name in params.attribute_columns}
    return Rows(
        root=file.parent,
        paths=paths,
        labels=labels,
        split=None if split is None else [value.strip() for value in split],
        attributes=columns,
        lines=table.lines,
        path_field=params.text_column if kind is DataKind.TEXT else params.path_column,
        label_field=params.label_column,
        split_field=params.split_column,
        warnings=warnings,
        kind=kind,
        texts=texts,
        features=features,
    )


def _manifest_in(folder: Path) -> Path | None:
    return next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)


def _kind(header: list[str], params: ImportParams) -> DataKind:
    """As asked for, else by the columns that are there."""
    if params.kind is not None:
        return params.kind
    is_text = params.text_column in header and params.path_column not in header
    return DataKind.TEXT if is_text else DataKind.IMAGE


def _columns_there(header: list[str], kind: DataKind, params: ImportParams, problems: Problems) -> bool:
    before, found = problems.n, ", ".join(header) if header else "none"
    own = {DataKind.IMAGE: "path_column", DataKind.TEXT: "text_column"}.get(kind)
    needed = {setting: getattr(params, setting) for setting in (own, "label_column") if setting is not None}
    other = f" If there are no images, say so: kind {DataKind.TEXT} or {DataKind.TABLE}." if params.kind is None else ""
    for setting, name in needed.items():
        if name not in header:
            message = f"The column {name!r} is missing; found: {found}. {_mend(header, setting)}"
            problems.add(1, name, found, message + (other if setting == "path_column" else ""))
    named = {"feature_columns": params.feature_columns or [], "attribute_columns": params.attribute_columns}
    for setting, names in named.items() if kind is DataKind.TABLE else ():
        for name in names:
            if name not in header or name in (params.label_column, params.split_column):
                message = f"The column {name!r} cannot be one of {setting}; found: {found}, label and split aside."
                problems.add(1, name, found, message)
    chosen = [*needed.values(), params.split_column]
    for name in sorted({name for name in chosen if chosen.count(name) > 1}):
        problems.add(1, name, found, f"The column {name!r} is named for two things: name different columns.")
    if params.split_column not in header and params.validation_share == 0:
        problems.add(
            1,
            params.split_column,
            found,
            f"The column {params.split_column!r} is missing; found: {found}. "
            "Add it, or set validation_share to take the validation split from all rows.",
        )
    return problems.n == before


def _mend(header: list[str], setting: str) -> str:
    """What most likely went wrong where a column is missing."""
    if not header:
        return "The table is empty: its first line names the columns."
    parted = next((name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in header[0]), None)
    if len(header) == 1 and parted is not None:
        return f"The columns are parted by {parted}: save the table with commas."
    return f"Add it, or name another as {setting}."
