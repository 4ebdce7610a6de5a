"""What a reader hands to the checks: rows as they stand in the source, everything still text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from unskew.schemas.enums import Split

_SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "0": Split.TRAIN,
    "validation": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "val": Split.VALIDATION,
    "1": Split.VALIDATION,
    "test": Split.TEST,
    "2": Split.TEST,
}


@dataclass
class Rows:
    """Rows in source order.

    Attributes:
        lines: 1-based line of each row in the manifest; None for a folder tree.
        split: None where the source has no splits at all.
        path_field, label_field, split_field: what problems call them.
    """

    root: Path
    paths: list[str]
    labels: list[str]
    split: list[str] | None
    attributes: dict[str, list[str]]
    lines: list[int] | None
    path_field: str = "file"
    label_field: str = "class folder"
    split_field: str = "split folder"
    warnings: list[str] = field(default_factory=list)


def known_split(text: str) -> Split | None:
    """The split that a word stands for, whatever its case; None for an unknown one."""
    return _SPLITS.get(text.strip().casefold())
