"""Tables as text: CSV, Parquet or JSON lines; every cell a string, every row with the line where it stands."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unskew.data.limits import MAX_TABLE_BYTES, too_large
from unskew.data.problems import Problems

TABLE_SUFFIXES = (".csv", ".parquet", ".jsonl")
_MISSING = frozenset({"", "nan", "NaN"})


@dataclass(frozen=True)
class Table:
    """Columns of one table, still text.

    Attributes:
        header: column names, blanks around them removed.
        lines: where each row stands: in CSV the header is line 1, in JSON lines the first row is line 1, in Parquet
            the first row is row 1.
        columns: one list a header name, all of one length.
    """

    file: Path
    header: list[str]
    lines: list[int]
    columns: list[list[str]]

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[str]:
        """Cells without blanks around them; "" = missing."""
        return [clean(value) for value in self.columns[self.header.index(name)]]


def clean(value: str) -> str:
    """A cell without blanks around it; the spellings of a missing value become ""."""
    value = value.strip()
    return "" if value in _MISSING else value


def read_table(file: Path, problems: Problems, *, delimiter: str = ",") -> Table | None:
    """Read a whole table; None when it cannot be read at all. Faulty rows become problems and are left out."""
    suffix = file.suffix.lower()
    try:
        fault = too_large(file, MAX_TABLE_BYTES)
        if fault:
            problems.add(None, file.name, "", fault)
            return None
        if suffix == ".parquet":
            table = _parquet(file)
        elif suffix == ".jsonl":
            table = _json_lines(file, problems)
        else:
            table = _csv(file, problems, delimiter)
    except UnicodeDecodeError as error:
        message = "The file is not UTF-8 text. Save it as UTF-8."
        problems.add(None, file.name, str(error.object[error.start : error.start + 1]), message)
        return None
    except Exception as error:  # pyarrow and the file system raise errors of many kinds
        problems.add(None, file.name, "", f"The manifest cannot be read: {type(error).__name__}: {error}.")
        return None
    twice = sorted({n for n in table.header if n and table.header.count(n) > 1})
    for name in twice:
        message = f"The column {name!r} appears {table.header.count(name)} times. Rename or remove one."
        problems.add(1, name, ", ".join(table.header), message)
    problems.lines = table.lines
    return None if twice else table


def _csv(file: Path, problems: Problems, delimiter: str) -> Table:
    lines: list[int] = []
    rows: list[list[str]] = []
    with open(file, encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
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
                message = f"The row has {len(row)} fields; the header has {len(header)}."
                problems.add(line, "row", ",".join(row), message)
                continue
            lines.append(line)
            rows.append(row)
    return Table(file, header, lines, _turned(rows, len(header)))


def _parquet(file: Path) -> Table:
    from pyarrow import DictionaryArray
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as opened:  # one file, whatever its folder is called
        unfolded = 0
        for batch in opened.iter_batches(batch_size=64):  # a few kilobytes of repeated values can unfold to terabytes
            for column in batch.columns:
                unfolded += (column.dictionary_decode() if isinstance(column, DictionaryArray) else column).nbytes
            if unfolded > MAX_TABLE_BYTES:
                raise ValueError(f"its cells unfold to more than {MAX_TABLE_BYTES:,} bytes")
        table = opened.read()
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return Table(file, [str(n).strip() for n in table.column_names], list(range(1, table.num_rows + 1)), columns)


def _json_lines(file: Path, problems: Problems) -> Table:
    """One object a line; the columns are all keys, in the order in which they first appear."""
    lines: list[int] = []
    found: list[dict[str, str]] = []
    header: dict[str, None] = {}
    for line, item in json_objects(file, problems):
        row: dict[str, str] = {}
        for key, value in item.items():
            if isinstance(value, (dict, list)):
                message = "The value is a list or an object; a cell is a text, a number, true, false or null."
                problems.add(line, key, json.dumps(value), message)
                value = None
            row[key.strip()] = _text(value)
        header |= dict.fromkeys(row)
        lines.append(line)
        found.append(row)
    return Table(file, list(header), lines, [[row.get(name, "") for row in found] for name in header])


def json_objects(file: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of every line that holds one; other lines become problems."""
    with open(file, encoding="utf-8-sig") as handle:
        for line, text in enumerate(handle, start=1):
            if not text.strip():
                continue
            try:
                item = json.loads(text)
            except (ValueError, RecursionError) as error:
                problems.add(line, "row", text.strip(), f"The line is not valid JSON: {error}.")
                continue
            if not isinstance(item, dict):
                problems.add(line, "row", text.strip(), 'The line is no JSON object. Write {"path": …, "label": …}.')
                continue
            yield line, item


def _turned(rows: list[list[str]], n_columns: int) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(n_columns)]


def _text(value: Any) -> str:
    """A cell as text: missing is "", and a whole number stored as a float has no point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)
