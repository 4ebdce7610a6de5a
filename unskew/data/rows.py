"""What a reader hands to the checks: rows as they stand in the source, everything still text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unskew.schemas.enums import DataKind, Split

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
        class_names: the classes in the order of their published numbers; None: sorted by name.
        packed: the images lie in an archive and must be unpacked before they can be checked.
        held_out: share of training that the layout itself takes for validation, as ImageNet's tenth.
        path_field, label_field, split_field: what problems call them.
        kind: what the rows are; `texts` or `features` (column → cells) belong to it, `paths` says where each stands.
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
    class_names: tuple[str, ...] | None = None
    held_out: float = 0.0
    packed: bool = False
    warnings: list[str] = field(default_factory=list)
    kind: DataKind = DataKind.IMAGE
    texts: list[str] = field(default_factory=list)
    features: dict[str, list[str]] = field(default_factory=dict)

    def uneven(self) -> str:
        """The first column that is not as long as `paths`, with its length; "" where all are."""
        content = {"texts": self.texts} if self.kind is DataKind.TEXT else {}
        columns = {"labels": self.labels, **content, **self.attributes, **self.features}
        lengths = {name: len(column) for name, column in columns.items()}
        lengths |= {} if self.split is None else {"split": len(self.split)}
        lengths |= {} if self.lines is None else {"lines": len(self.lines)}
        return next((f"{n} of {name!r}" for name, n in lengths.items() if n != len(self.paths)), "")

    def keep(self, chosen: Sequence[int]) -> None:
        """Leave out every row but these."""
        self.paths, self.labels = [self.paths[i] for i in chosen], [self.labels[i] for i in chosen]
        self.split = None if self.split is None else [self.split[i] for i in chosen]
        self.texts = [self.texts[i] for i in chosen] if self.texts else []
        self.lines = None if self.lines is None else [self.lines[i] for i in chosen]
        self.attributes = {name: [column[i] for i in chosen] for name, column in self.attributes.items()}


def known_split(text: str) -> Split | None:
    """The split that a word stands for, whatever its case; None for an unknown one."""
    return _SPLITS.get(text.strip().casefold())
