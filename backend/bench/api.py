"""The API's pages on a project of many rows: extremes of directions, and pages of examples, filtered and sorted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from backend.bench.server import milliseconds, serving
from backend.bench.tiled import tile
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas.enums import Split

REPEATS = 200
BAR_MS = 50.0


def bench_api(source: Store, slug: str, n: int, scratch: Path | None = None) -> dict[str, Any]:
    """Times of `REPEATS` requests of each kind, one after the other, after one that warms the caches."""
    with TemporaryDirectory(dir=scratch) as folder:
        store = Store.open(Path(folder))
        started = time.perf_counter()
        made = tile(source, slug, store, n, pictures=False)
        store.close()
        made_seconds = time.perf_counter() - started
        with serving(Path(folder)) as running, Client(running.url) as client:
            project = client.project(made)
            rows = project.n_train + project.n_validation + project.n_test
            found = _measured(client, made, rng=np.random.default_rng(0))
            return {
                "rows": rows,
                "made_in_seconds": round(made_seconds, 1),
                "bar_p95_ms": BAR_MS,
                "times": {name: milliseconds(times) for name, (_, times) in found.items()},
                "first_ms": {name: round(1000 * first, 1) for name, (first, _) in found.items()},
                "memory_mb": round(running.memory()),
                "met": all(milliseconds(times)["p95_ms"] <= BAR_MS for _, times in found.values()),
            }


def _measured(client: Client, slug: str, rng: np.random.Generator) -> dict[str, tuple[float, list[float]]]:
    """Kind → (seconds of the first request, which reads columns and orders; seconds of the others)."""
    directions = client.directions(slug)
    group_set = client.group_sets(slug)[0]
    total = client.examples(slug, split=Split.TRAIN, limit=1).total

    def any_direction() -> int:
        return directions[int(rng.integers(len(directions)))].id

    def place(n: int) -> str:
        return str(int(rng.integers(n)))

    kinds: dict[str, Callable[[], Any]] = {
        "extremes: 4 strips of 24": lambda: client.strips(any_direction(), n=24, offset=int(rng.integers(1000))),
        "page of 96 as stored": lambda: client.examples(slug, split=Split.TRAIN, after=place(total), limit=96),
        "page of 96 of a class": lambda: client.examples(
            slug, split=Split.TRAIN, label=0, after=place(total // 3), limit=96
        ),
        "page of 96 by loading": lambda: client.examples(
            slug, split=Split.TRAIN, direction=directions[0].id, after=place(total // 3), limit=96
        ),
        "label queue of 60": lambda: client.label_queue(group_set.id, label=0, limit=60),
        "one direction": lambda: client.direction(any_direction()),
    }
    return {name: _timed(ask) for name, ask in kinds.items()}


def _timed(ask: Callable[[], Any]) -> tuple[float, list[float]]:
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return times[0], times[1:]
