"""Labels in files: CSV, JSON Lines and Parquet out, and back in with row-level errors before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from backend.services.downloads import Download, csv_file, json_lines, parquet_file, unsafe_cell
from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import pages, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.data.problems import Problems
from unskew.data.tables import Table, read_table
from unskew.errors import DataError, RowError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import LabelFormat, Split

FIELDS = (
    "example_id", "position", "path", "label", "group", "group_name", "suggestion", "by_hand", "unsure", "annotator",
)  # fmt: skip
_WRITERS = {LabelFormat.CSV: csv_file, LabelFormat.JSONL: json_lines, LabelFormat.PARQUET: parquet_file}
KEYS = ("example_id", "path", "position")  # the first that is there says which example a row is about
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
    table = _read(store, content, format)
    columns = [[unsafe_cell(cell.strip()) for cell in column] for column in table.columns]
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
        for number, *cells in zip(table.lines, *columns, strict=True):
            row = dict(zip(table.header, cells, strict=True))
            if _said(row.get("by_hand", ""), "false", "0"):
                passed += 1
                continue
            found = _write(group_set, row, number, by, f"{gesture}:{number}")
            if isinstance(found, RowError):
                problems.append(found)
            else:
                writes.append(found)
        if problems:
            raise DataError(
                f"{len(problems)} of {len(table)} rows do not fit; nothing was written.",
                fix="Mend them and import again.",
                rows=problems[:MAX_SHOWN],
            )
        if not dry_run and writes:
            label_store.write(session, group_set.id, writes, annotator)
        return api.LabelImport(n_rows=len(table), n_labels=len(writes), n_passed_over=passed, written=not dry_run)


def _read(store: Store, content: bytes, format: LabelFormat) -> Table:
    """The file by the reader of all tables, which knows where each row stands."""
    with NamedTemporaryFile(dir=store.data / "work", suffix=f".{format.value}") as file:
        file.write(content)
        file.flush()
        problems = Problems()
        table = read_table(Path(file.name), problems)
    if table is None or problems.n:
        first = problems.listed()[0]
        raise DataError(
            f"This is no {format.value} file of labels: {first.message}",
            fix="Export a group set to see one.",
            rows=problems.listed(),
        )
    columns = set(table.header)
    if not columns & set(KEYS) or not columns & {"group_name", "group"}:
        raise DataError(
            f"The columns are {', '.join(table.header) or 'none'}.",
            fix="Give example_id, path or position, and group_name or group.",
        )
    return table


def _write(
    row: tables.GroupSet, values: Mapping[str, str], number: int, by: dict[str, dict[str, tuple[int, int]]], key: str
) -> api.LabelWrite | RowError:
    column = next(c for c in KEYS if c in values)
    text = values[column]
    found = by[column].get(text)
    if found is None:
        return RowError(number, column, text, "There is no such validation example in this project.")
    example_id, label = found
    names: list[str] = row.group_names[label]
    field = "group_name" if "group_name" in values else "group"
    group = values[field]
    if not group or _said(values.get("unsure", ""), "true", "1"):
        return api.LabelWrite(key=key, example_id=example_id, group=None)
    options = names if field == "group_name" else [str(i) for i in range(len(names))]
    if group not in options:
        return RowError(number, field, group, f"This class has: {', '.join(options) or 'no groups'}.")
    return api.LabelWrite(key=key, example_id=example_id, group=options.index(group))


def _said(cell: str, *words: str) -> bool:
    return cell.lower() in words


def format_of(text: str) -> LabelFormat:
    """By its word or by a file's ending."""
    try:
        return LabelFormat(text.rsplit(".", 1)[-1].lower())
    except ValueError:
        raise SettingsError(f"There is no format {text!r}.", fix=f"One of {', '.join(LabelFormat)}.") from None
