"""Labels in files: CSV, JSON Lines and Parquet out, and back in with row-level errors before anything is written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pandas as pd

from backend.services.downloads import Download, csv_file, json_lines, parquet_file
from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import pages, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import DataError, RowError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import LabelFormat, Split

FIELDS = (
    "example_id", "position", "path", "label", "group", "group_name", "suggestion", "by_hand", "unsure", "annotator",
)  # fmt: skip
_WRITERS = {LabelFormat.CSV: csv_file, LabelFormat.JSONL: json_lines, LabelFormat.PARQUET: parquet_file}
MAX_SHOWN = 200  # problems


def export(store: Store, group_set_id: int, format: LabelFormat) -> Download:
    """Every validation example with its group."""
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        project = project_store.get(session, row.project_id)
        found = label_store.export(session, row.id)
    values = [
        (
            member.example_id,
            member.position,
            path,
            project.class_names[member.label],
            member.group,
            None if member.group is None else row.group_names[member.label][member.group],
            member.suggestion,
            member.by_hand,
            member.unsure,
            annotator,
        )
        for member, path, annotator in found
    ]
    return _WRITERS[format](f"{project.slug}-groups-{row.id}-v{row.version}", FIELDS, values)


def load(
    store: Store, group_set_id: int, content: bytes, format: LabelFormat, *, annotator: str, dry_run: bool = False
) -> api.LabelImport:
    """Write the labels of a file; one undo takes all of them back, and the same file twice changes nothing.

    Columns: `example_id`, `path` or `position`, and `group_name` (as in the set) or `group`; with `by_hand`, rows
    where it is false are passed over; `unsure` true, or an empty group, is an unsure answer.

    Raises:
        DataError: the file cannot be read, or rows do not fit; nothing is written then.
    """
    rows = _read(content, format)
    with store.session() as session:
        group_set = group_store.get(session, group_set_id)
        known = pages.keys(session, group_set.project_id, Split.VALIDATION)
        by = {
            "example_id": {str(i): (i, label) for i, _, label, _ in known},
            "path": {path: (i, label) for i, _, label, path in known},
            "position": {str(position): (i, label) for i, position, label, _ in known},
        }
        gesture = sha256(content + annotator.encode()).hexdigest()[:24]
        writes: list[api.LabelWrite] = []
        problems: list[RowError] = []
        passed = 0
        for number, row in enumerate(rows, start=2 if format is LabelFormat.CSV else 1):
            if _false(row.get("by_hand", True)):
                passed += 1
                continue
            found = _write(group_set, row, number, by, f"{gesture}:{number}")
            if isinstance(found, RowError):
                problems.append(found)
            else:
                writes.append(found)
        if problems:
            raise DataError(
                f"{len(problems)} of {len(rows)} rows do not fit; nothing was written.",
                fix="Mend them and import again.",
                rows=problems[:MAX_SHOWN],
            )
        if not dry_run and writes:
            label_store.write(session, group_set.id, writes, annotator)
        return api.LabelImport(n_rows=len(rows), n_labels=len(writes), n_passed_over=passed, written=not dry_run)


def _read(content: bytes, format: LabelFormat) -> list[dict[str, Any]]:
    try:
        stream = io.BytesIO(content)
        if format is LabelFormat.CSV:
            frame = pd.read_csv(stream, dtype=str, keep_default_na=False)
        elif format is LabelFormat.JSONL:
            frame = pd.read_json(stream, lines=True, dtype=False)
        else:
            frame = pd.read_parquet(stream)
    except Exception as error:  # each parser has its own family of errors, and all mean the same here
        raise DataError(f"This is no {format.value} file: {error}.", fix="Export a group set to see one.") from error
    columns = set(frame.columns)
    if not columns & {"example_id", "path", "position"} or not columns & {"group_name", "group"}:
        raise DataError(
            f"The columns are {', '.join(map(str, frame.columns))}.",
            fix="Give example_id, path or position, and group_name or group.",
        )
    rows: Any = frame.astype(object).where(frame.notna(), "").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _write(
    row: tables.GroupSet, values: Mapping[str, Any], number: int, by: dict[str, dict[str, tuple[int, int]]], key: str
) -> api.LabelWrite | RowError:
    column = next(c for c in ("example_id", "path", "position") if c in values)
    text = _text(values[column])
    found = by[column].get(text)
    if found is None:
        return RowError(number, column, text, "There is no such validation example in this project.")
    example_id, label = found
    names: list[str] = row.group_names[label]
    field = "group_name" if "group_name" in values else "group"
    group = _text(values[field])
    if not group or _true(values.get("unsure", False)):
        return api.LabelWrite(key=key, example_id=example_id, group=None)
    options = names if field == "group_name" else [str(i) for i in range(len(names))]
    if group not in options:
        return RowError(number, field, group, f"This class has: {', '.join(options) or 'no groups'}.")
    return api.LabelWrite(key=key, example_id=example_id, group=options.index(group))


def _text(value: object) -> str:
    """As written; whole numbers that a table made into floats are whole again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _true(value: object) -> bool:
    return str(value).strip().lower() in ("true", "1", "1.0")


def _false(value: object) -> bool:
    return str(value).strip().lower() in ("false", "0", "0.0")


def format_of(text: str) -> LabelFormat:
    """By its word or by a file's ending."""
    try:
        return LabelFormat(text.rsplit(".", 1)[-1].lower())
    except ValueError:
        raise SettingsError(f"There is no format {text!r}.", fix=f"One of {', '.join(LabelFormat)}.") from None
