"""Problems found in a source: all counted, the first 200 listed, so that no kind of them hides another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, islice, zip_longest

from unskew.errors import RowError

LISTED = 200
_KINDS = 50  # that are told apart; what comes later counts as one
_SHOWN = 80  # characters of a value
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")  # of one row: what is left of a message is its kind


class Problems:
    """Collects row errors without ever stopping at one."""

    def __init__(self, lines: Sequence[int] | None = None) -> None:
        self._kinds: dict[tuple[str, str], list[RowError]] = defaultdict(list)
        self.n = 0
        self.lines = lines  # where each row stands in the manifest; None for a folder tree

    def add(self, line: int | None, field: str, value: str, message: str) -> None:
        """Note a problem at a line of the manifest, or nowhere in particular."""
        self.n += 1
        kind = (field, _PARTICULAR.sub("", message))
        kept = self._kinds[kind if kind in self._kinds or len(self._kinds) < _KINDS else ("", "")]
        if len(kept) < LISTED:
            shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            kept.append(RowError(line, field, shown, message))

    def listed(self) -> list[RowError]:
        """As many of every kind, the first ones, in the order of their lines; those of no line last."""
        by_turns = chain.from_iterable(zip_longest(*self._kinds.values()))
        found = islice((item for item in by_turns if item is not None), LISTED)
        return sorted(found, key=lambda item: (item.row is None, item.row or 0))

    def add_row(self, row: int, field: str, value: str, message: str) -> None:
        """Note a problem of row 0 … n - 1."""
        self.add(self.lines[row] if self.lines is not None else None, field, value, message)
