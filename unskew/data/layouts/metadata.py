"""Group metadata tables: one row an image with its split, class y and attribute a. Waterbirds is the best known.

Two column conventions are in use, and both are read:

    group_DRO, WILDS           img_id, img_filename, y, split, place, place_filename      beside the images
    BalancingGroups, SubpopBench   id, filename, split, y, a     metadata_<set>.csv, images in a folder beside it

split is 0, 1, 2 (train, validation, test) or the words. All published code numbers groups y · n + a, as we do.
"""

from __future__ import annotations

from pathlib import Path

from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import Table, read_table
from unskew.schemas.params import ImportParams

BIRDS, PLACES = ("landbird", "waterbird"), ("land", "water")
_PATH_COLUMNS = ("img_filename", "filename")
_ATTRIBUTE_COLUMNS = ("place", "a")
_BIRD_FOLDER = "waterbird_complete95_forest2water2"


def recognise(source: Path) -> bool:
    """A folder (or the table itself) with a metadata table that has a file name, y and split."""
    file = _metadata(source)
    return file is not None and _has_columns(header_of(file))


def is_waterbirds(source: Path) -> bool:
    """The column `place_filename`, or the name that SubpopBench gives the table."""
    file = _metadata(source)
    if file is None:
        return False
    header = header_of(file)
    return _has_columns(header) and ("place_filename" in header or file.stem == "metadata_waterbirds")


def read_waterbirds(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Classes landbird (0) and waterbird (1), attribute `place`: land (0) and water (1)."""
    return _read(source, problems, classes=BIRDS, attribute="place", values=PLACES)


def read(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Classes and values keep the numbers of the table."""
    return _read(source, problems)


def _read(
    source: Path,
    problems: Problems,
    *,
    classes: tuple[str, ...] | None = None,
    attribute: str | None = None,
    values: tuple[str, ...] = (),
) -> Rows | None:
    file = _metadata(source)
    table = None if file is None else read_table(file, problems)
    if file is None:
        problems.add(None, source.name, "", "The folder holds no metadata table. Name it metadata.csv.")
    if table is None or file is None:
        return None
    if not _has_columns(table.header):
        found = ", ".join(table.header) or "none"
        message = f"The table needs the columns {' or '.join(_PATH_COLUMNS)}, y, split; found: {found}."
        problems.add(1, "header", found, message)
        return None
    path_column = _first(_PATH_COLUMNS, table)
    label, split = table.column("y"), table.column("split")
    attributes: dict[str, list[str]] = {}
    column = _first(_ATTRIBUTE_COLUMNS, table)
    if column:
        numbers = table.column(column)
        attributes[attribute or column] = coded(numbers, values) if values else numbers
        for row, number in enumerate(numbers):
            if values and number and attributes[attribute or column][row] not in values:
                meaning = ", ".join(f"{name} ({i})" for i, name in enumerate(values))
                problems.add_row(row, column, number, f"{column} is {number!r}; known are {meaning}.")
    root = file.parent
    paths = table.column(path_column)
    inside = _image_folder(root, next((p for p in paths if p), ""))
    return Rows(
        root=root,
        paths=[f"{inside}{path}" if path else "" for path in paths],
        labels=coded(label, classes) if classes else label,
        split=split,
        attributes=attributes,
        lines=table.lines,
        path_field=path_column,
        label_field="y",
        split_field="split",
        class_names=classes,
    )


def coded(numbers: list[str], names: tuple[str, ...]) -> list[str]:
    """Names in place of the numbers 0, 1, …; a number that has no name stays, for the checks to find."""
    known = {str(i): name for i, name in enumerate(names)}
    return [known.get(number, number) for number in numbers]


def header_of(file: Path) -> list[str]:
    """Column names of a CSV, from its first line; none when it cannot be read as text."""
    try:
        with open(file, encoding="utf-8-sig") as handle:
            return [name.strip().strip('"') for name in handle.readline(65_536).split(",")]
    except (OSError, UnicodeDecodeError):
        return []


def _metadata(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix == ".csv" and source.stem.startswith("metadata") else None
    if (source / "metadata.csv").is_file():
        return source / "metadata.csv"
    found = sorted(source.glob("metadata_*.csv"))
    return found[0] if len(found) == 1 else None


def _has_columns(header: list[str]) -> bool:
    return any(name in header for name in _PATH_COLUMNS) and {"y", "split"} <= set(header)


def _first(names: tuple[str, ...], table: Table) -> str:
    return next((name for name in names if name in table.header), "")


def _image_folder(root: Path, example: str) -> str:
    """Where SubpopBench keeps the images beside its table; "" when the paths start at the table itself."""
    if not example or (root / example).exists():
        return ""
    for folder in (_BIRD_FOLDER, "img_align_celeba", "images"):
        if (root / folder / example).is_file():
            return f"{folder}/"
    return ""
