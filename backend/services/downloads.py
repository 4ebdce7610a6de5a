"""Files that people take away: CSV that is safe to open in a spreadsheet, JSON, and arrays."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A cell that begins so is run as a formula by spreadsheets: a file name must not be able to run anything.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Download:
    """One file, whole."""

    content: bytes
    media_type: str
    filename: str


def safe_cell(value: object) -> object:
    """The value, with a quote before text that a spreadsheet would take for a formula. Numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def unsafe_cell(text: str) -> str:
    """The text that `safe_cell` wrote down, for files that come back."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def csv_file(name: str, fields: Sequence[str], rows: Iterable[Sequence[object]]) -> Download:
    """UTF-8, RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(fields)
    writer.writerows([[safe_cell(value) for value in row] for row in rows])
    return Download(text.getvalue().encode(), "text/csv; charset=utf-8", f"{name}.csv")


def json_lines(name: str, fields: Sequence[str], rows: Iterable[Sequence[object]]) -> Download:
    """One JSON object a line."""
    lines = (json.dumps(dict(zip(fields, row, strict=True)), ensure_ascii=False) for row in rows)
    return Download(
        "".join(line + "\n" for line in lines).encode(), "application/jsonl; charset=utf-8", f"{name}.jsonl"
    )


def parquet_file(name: str, fields: Sequence[str], rows: Iterable[Sequence[object]]) -> Download:
    """One row group, columns typed by what they hold."""
    stream = io.BytesIO()
    pd.DataFrame(list(rows), columns=list(fields)).to_parquet(stream, index=False)
    return Download(stream.getvalue(), "application/vnd.apache.parquet", f"{name}.parquet")


def json_file(name: str, value: Any) -> Download:
    return Download(json.dumps(value, ensure_ascii=False, indent=1).encode(), "application/json", f"{name}.json")


def npy_file(name: str, array: NDArray[Any]) -> Download:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return Download(buffer.getvalue(), "application/octet-stream", f"{name}.npy")
