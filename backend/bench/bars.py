"""What is measured against what was promised: one line a figure, with its limit and whether it is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Bar:
    """One figure and its limit.

    Attributes:
        images: size of the project.
        value: what is held against the limit; of times the 95th percentile.
        n: measurements behind it.
        p50, largest: of times, in `unit`.
        limit: the most that is allowed; None: told, but not promised.
    """

    name: str
    images: int
    value: float
    unit: str
    limit: float | None
    n: int
    p50: float | None = None
    largest: float | None = None

    @property
    def met(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def line(self) -> str:
        """For a person who waits."""
        held = "" if self.limit is None else f", at most {self.limit:g}: {'held' if self.met else 'MISSED'}"
        return f"{self.images:,} images, {self.name}: {self.value:,g} {self.unit}".rstrip() + held

    def body(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"met": self.met}


def times(name: str, images: int, seconds: Sequence[float], limit_ms: float | None) -> Bar:
    """The 95th percentile of what was timed, in milliseconds."""
    found = milliseconds(seconds)
    return Bar(name, images, found["p95_ms"], "ms", limit_ms, len(seconds), found["p50_ms"], found["max_ms"])


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """n, median, 95th percentile and largest; zeros of nothing."""
    values = 1000 * np.asarray(seconds or [0.0])
    return {
        "n": len(seconds),
        "p50_ms": round(float(np.percentile(values, 50)), 1),
        "p95_ms": round(float(np.percentile(values, 95)), 1),
        "max_ms": round(float(values.max()), 1),
    }


def bodies(found: Sequence[Bar]) -> dict[str, Any]:
    """All of them for JSON, and whether every limit is met."""
    return {"bars": [bar.body() for bar in found], "met": all(bar.met for bar in found)}


def rows(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The same for a table of `COLUMNS`."""
    return [
        [
            f"{bar['images']:,}",
            bar["name"],
            str(bar["n"]),
            *("" if bar[key] is None else f"{bar[key]:,g}" for key in ("p50", "value", "largest", "limit")),
            bar["unit"],
            "" if bar["limit"] is None else "yes" if bar["met"] else "NO",
        ]
        for bar in found
    ]


COLUMNS = ["images", "what", "n", "p50", "p95 or value", "largest", "limit", "unit", "met"]
