"""Reader of manifests: CSV or Parquet with a path, a label and a split; every other column becomes an attribute."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.schemas.params import ImportParams

_MISSING = frozenset({"", "nan", "NaN"})


def read_manifest(file: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Read every row; None when the columns are not there or the file cannot be read at all.

    `Problems.lines` and `Rows.lines` count from 1: in CSV the header is line 1; in Parquet the first row is row 1.
    """
    try:
        if file.suffix.lower() == ".csv":
            header, lines, cells = _csv(file, problems)
        else:
            header, lines, cells = _parquet(file)
    except UnicodeDecodeError as error:
        problems.add(None, file.name, str(error.object[error.start : error.start + 1]), "The file is not UTF-8 text.")
        return None
    except Exception as error:  # pyarrow and the file system raise errors of many kinds
        problems.add(None, file.name, "", f"The manifest cannot be read: {type(error).__name__}: {error}.")
        return None
    problems.lines = lines
    if not _columns_there(header, params, problems):
        return None
    columns = dict(zip(header, cells, strict=True))
    paths = columns.pop(
        params.path_column
    )  # blanks around a path may belong to it; around anything else they are a slip
    columns = {name: [value.strip() for value in column] for name, column in columns.items()}
    labels = columns.pop(params.label_column)
    split = columns.pop(params.split_column, None)
    warnings = []
    if columns.pop("", None) is not None:
        warnings.append("A column without a name was ignored.")
    return Rows(
        root=file.parent,
        paths=paths,
        labels=["" if v in _MISSING else v for v in labels],
        split=split,
        attributes={name: ["" if v in _MISSING else v for v in column] for name, column in columns.items()},
        lines=lines,
        path_field=params.path_column,
        label_field=params.label_column,
        split_field=params.split_column,
        warnings=warnings,
    )


def _csv(file: Path, problems: Problems) -> tuple[list[str], list[int], list[list[str]]]:
    """(header, line of each row, columns). Rows with another number of fields are problems and left out."""
    lines: list[int] = []
    rows: list[list[str]] = []
    with open(file, encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle)
        header = [name.strip() for name in next(reader, [])]
        while True:
            line = reader.line_num + 1  # a quoted field may hold line breaks: a row stands where it begins
            try:
                row = next(reader, None)
            except csv.Error as error:
                problems.add(line, "row", "", f"The row is not valid CSV: {error}.")
                continue
            if row is None:
                break
            if not any(row):  # a blank line
                continue
            if len(row) != len(header):
                problems.add(
                    line, "row", ",".join(row), f"The row has {len(row)} fields; the header has {len(header)}."
                )
                continue
            lines.append(line)
            rows.append(row)
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in header]
    return header, lines, columns


def _parquet(file: Path) -> tuple[list[str], list[int], list[list[str]]]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as opened:  # one file, whatever its folder is called
        table = opened.read()
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return [str(name) for name in table.column_names], list(range(1, table.num_rows + 1)), columns


def _text(value: Any) -> str:
    """A cell as text: missing is "", and a whole number stored as a float has no point."""
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def _columns_there(header: list[str], params: ImportParams, problems: Problems) -> bool:
    before = problems.n
    found = ", ".join(header) if header else "none"
    for name in sorted({n for n in header if n and header.count(n) > 1}):
        problems.add(1, name, found, f"The column {name!r} appears {header.count(name)} times.")
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
