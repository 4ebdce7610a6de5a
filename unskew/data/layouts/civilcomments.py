"""CivilComments of the WILDS benchmark: is a comment toxic, and which identities does it mention?

    all_data_with_identities.csv   comment_text, split (train, val, test), toxicity, and a number for each identity

A comment is toxic where at least half of its readers said so, and mentions an identity likewise (a missing number: no).
WILDS numbers groups with the first field fastest; here every identity becomes an attribute, "no" or "yes".
"""

from __future__ import annotations

from pathlib import Path

from unskew.data.columns import number
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import read_table
from unskew.schemas.enums import DataKind
from unskew.schemas.params import ImportParams

CLASSES = ("civil", "toxic")
IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
_FILE = "all_data_with_identities.csv"
_ANY = "identity_any"
_HALF = 0.5


def recognise(source: Path) -> bool:
    """The table, or a folder that holds it."""
    return source.name == _FILE if source.is_file() else (source / _FILE).is_file()


def read(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Every comment; attributes are the eight identities, and whether there is any."""
    file = source if source.is_file() else source / _FILE
    if not file.is_file():
        problems.add(None, source.name, "", f"The folder holds no {_FILE}.")
        return None
    table = read_table(file, problems)
    if table is None:
        return None
    needed = ("comment_text", "split", "toxicity", *IDENTITIES)
    missing = [name for name in needed if name not in table.header]
    if missing:
        message = f"{file.name} lacks the columns {', '.join(missing)}."
        problems.add(1, missing[0], ", ".join(table.header), message)
        return None
    told = [*IDENTITIES, *([_ANY] if _ANY in table.header else [])]
    return Rows(
        root=file.parent,
        paths=[f"{file.name}:{line}" for line in table.lines],
        labels=_halves("toxicity", table.column("toxicity"), CLASSES, problems, may_miss=False),
        split=table.column("split"),
        attributes={name: _halves(name, table.column(name), ("no", "yes"), problems) for name in told},
        lines=table.lines,
        path_field="comment_text",
        label_field="toxicity",
        split_field="split",
        class_names=CLASSES,
        kind=DataKind.TEXT,
        texts=[text.strip() for text in table.columns[table.header.index("comment_text")]],
    )


def _halves(
    name: str, cells: list[str], words: tuple[str, str], problems: Problems, *, may_miss: bool = True
) -> list[str]:
    """The second word where a number is at least a half, the first where it is less or missing."""
    found = []
    for row, cell in enumerate(cells):
        value = number(cell) if cell else None
        if cell and value is None:
            problems.add_row(row, name, cell, f"{cell!r} is no number from 0 to 1.")
        found.append("" if value is None and not may_miss else words[value is not None and value >= _HALF])
    return found
