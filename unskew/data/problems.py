"""Problems found in a source: all counted, the first 200 kept."""

from __future__ import annotations

from collections.abc import Sequence

from unskew.errors import RowError

LISTED = 200
_SHOWN = 80  # characters of a value


class Problems:
    """Collects row errors without ever stopping at one."""

    def __init__(self, lines: Sequence[int] | None = None) -> None:
        self.items: list[RowError] = []
        self.n = 0
        self.lines = lines  # where each row stands in the manifest; None for a folder tree

    def add(self, line: int | None, field: str, value: str, message: str) -> None:
        """Note a problem at a line of the manifest, or nowhere in particular."""
        self.n += 1
        if len(self.items) < LISTED:
            shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            self.items.append(RowError(line, field, shown, message))

    def listed(self) -> list[RowError]:
        """The problems that were kept, in the order of their lines; those of no line last."""
        return sorted(self.items, key=lambda item: (item.row is None, item.row or 0))

    def add_row(self, row: int, field: str, value: str, message: str) -> None:
        """Note a problem of row 0 … n - 1."""
        self.add(self.lines[row] if self.lines is not None else None, field, value, message)
