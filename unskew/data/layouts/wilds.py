"""Image sets of the WILDS benchmark that have layouts of their own; its Waterbirds and CelebA are the published ones.

    Camelyon17   metadata.csv (patient, node, x_coord, y_coord, tumor, slide, center, split), patches/…png
    iWildCam     metadata.csv (split, location_remapped, y, filename), categories.csv, train/<filename>

WILDS numbers groups with the first field fastest; here the fields become attributes, and groups are label-major.
Out-of-distribution splits (`val`, `test`) are used; `id_val` and `id_test` are left out, with a warning.
"""

from __future__ import annotations

from pathlib import Path

from unskew.data.layouts.metadata import coded, header_of
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import Table, read_table
from unskew.schemas.enums import Split
from unskew.schemas.params import ImportParams

TISSUES = ("normal", "tumor")

_CAMELYON = ("patient", "node", "x_coord", "y_coord", "tumor", "center", "split")
_IWILDCAM = ("filename", "y", "split", "location_remapped")
_VALIDATION_HOSPITAL, _TEST_HOSPITAL = "1", "2"


def is_camelyon17(source: Path) -> bool:
    return _has(source, _CAMELYON)


def is_iwildcam(source: Path) -> bool:
    return _has(source, _IWILDCAM)


def read_camelyon17(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Tumor or not; attributes `hospital` and `slide`. Hospital 1 is validation, hospital 2 is test."""
    table = _table(source, _CAMELYON, problems)
    if table is None:
        return None
    column = table.column
    paths = []
    places = zip(column("patient"), column("node"), column("x_coord"), column("y_coord"), strict=True)
    for patient, node, x, y in places:
        stem = f"patient_{patient.zfill(3)}_node_{node}"
        paths.append(f"patches/{stem}/patch_{stem}_x_{x}_y_{y}.png")
    hospital = column("center")
    split = [
        Split.VALIDATION.value if h == _VALIDATION_HOSPITAL else Split.TEST.value if h == _TEST_HOSPITAL else s
        for h, s in zip(hospital, column("split"), strict=True)
    ]
    rows = Rows(
        root=source,
        paths=paths,
        labels=coded(column("tumor"), TISSUES),
        split=split,
        attributes={"hospital": hospital} | ({"slide": column("slide")} if "slide" in table.header else {}),
        lines=table.lines,
        path_field="patient",
        label_field="tumor",
        split_field="split",
        class_names=TISSUES,
    )
    held = [h not in (_VALIDATION_HOSPITAL, _TEST_HOSPITAL) and s == "1" for h, s in zip(hospital, split, strict=True)]
    return _without(rows, held, problems)


def read_iwildcam(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Animal species; attribute `location`, the camera trap."""
    table = _table(source, _IWILDCAM, problems)
    if table is None:
        return None
    names = _species(source, problems)
    problems.lines = table.lines
    label = table.column("y")
    split = table.column("split")
    rows = Rows(
        root=source,
        paths=[f"train/{name}" if name else "" for name in table.column("filename")],
        labels=[names.get(y, y) for y in label],
        split=split,
        attributes={"location": table.column("location_remapped")},
        lines=table.lines,
        path_field="filename",
        label_field="y",
        split_field="split",
    )
    return _without(rows, [text.startswith("id_") for text in split], problems)


def _species(source: Path, problems: Problems) -> dict[str, str]:
    file = source / "categories.csv"
    table = read_table(file, problems) if file.is_file() else None
    if table is None or not {"y", "name"} <= set(table.header):
        return {}
    return dict(zip(table.column("y"), table.column("name"), strict=True))


def _without(rows: Rows, leave_out: list[bool], problems: Problems) -> Rows:
    """The rows that are not marked; how many were, as a warning."""
    if any(leave_out):
        keep = [row for row, out in enumerate(leave_out) if not out]
        rows.warnings.append(f"{sum(leave_out):,} in-distribution validation or test images are left out.")
        rows.keep(keep)
        problems.lines = rows.lines
    return rows


def _has(source: Path, columns: tuple[str, ...]) -> bool:
    return source.is_dir() and set(columns) <= set(header_of(source / "metadata.csv"))


def _table(source: Path, columns: tuple[str, ...], problems: Problems) -> Table | None:
    file = source / "metadata.csv"
    table = read_table(file, problems)
    if table is not None and not set(columns) <= set(table.header):
        missing = ", ".join(name for name in columns if name not in table.header)
        problems.add(1, missing, ", ".join(table.header), f"metadata.csv lacks the columns {missing}.")
        return None
    return table
