"""The API's pages on a project of many rows: extremes of directions, and pages of examples, filtered and sorted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from backend.bench import bars
from backend.bench.bars import Bar, times
from backend.bench.server import serving
from backend.bench.tiled import tile
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas import api
from unskew.schemas.enums import Split

REPEATS = 200
LIMIT_MS = 50.0


def bench_api(
    source: Store,
    slug: str,
    n: int,
    *,
    repeats: int = REPEATS,
    scratch: Path | None = None,
    tell: Callable[[Bar], None] = lambda bar: None,
) -> dict[str, Any]:
    """Times of `repeats` requests of each kind, one after the other, after one that reads columns and orders.

    Args:
        scratch: where the tiled project stays for the next time; None: a folder that is deleted at the end.
        tell: called with every figure as soon as it is known.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) if scratch is None else scratch
        store = Store.open(folder)
        started = perf_counter()
        made = tile(source, slug, store, n, pictures=False)
        store.close()
        made_seconds = perf_counter() - started
        with serving(folder) as running, Client(running.url) as client:
            project = client.project(made)
            rows = project.n_train + project.n_validation + project.n_test
            found: list[Bar] = []
            for name, (ask, limit) in _requests(client, made, np.random.default_rng(0)).items():
                first, others = _timed(ask, repeats)
                found += [times(name, rows, others, limit), times(f"{name}: the very first", rows, [first], None)]
                for bar in found[-2:]:
                    tell(bar)
            memory = Bar("memory of the web process", rows, round(running.memory()), "MB", None, 1)
    return bars.bodies([*found, memory]) | {"made_in_seconds": round(made_seconds, 1)}


Request = tuple[Callable[[], Any], float | None]


def _requests(client: Client, slug: str, rng: np.random.Generator) -> dict[str, Request]:
    """Kind → (one request of it at a random place, its limit [ms]; None: told beside them)."""
    directions = client.directions(slug)
    total = client.examples(slug, split=Split.TRAIN, limit=1).total
    first = [d.id for d in directions if d.index == 0]
    wanted = api.GroupSetCreate(name=f"measured {perf_counter():.3f}", direction_ids=first)
    group_set = client.create_group_set(slug, wanted).id
    label = directions[0].label

    def any_direction() -> int:
        return directions[int(rng.integers(len(directions)))].id

    def page(of: int = total, **wanted: Any) -> Any:
        return client.examples(slug, split=Split.TRAIN, after=str(int(rng.integers(of))), limit=96, **wanted)

    in_class = client.examples(slug, split=Split.TRAIN, label=label, limit=1).total
    attribute = next(iter(client.project(slug).attribute_counts), None)
    filtered = {} if attribute is None else {"attribute": attribute.attribute, "value": attribute.value}
    return {
        "extremes: 4 strips of 24": (
            lambda: client.strips(any_direction(), n=24, offset=int(rng.integers(1000))),
            LIMIT_MS,
        ),
        "page of 96 as stored": (page, LIMIT_MS),
        "page of 96 of a class": (lambda: page(in_class, label=label), LIMIT_MS),
        "page of 96 by loading": (lambda: page(direction=directions[0].id), LIMIT_MS),
        "page of 96 of an attribute value": (lambda: page(1000, **filtered), LIMIT_MS),
        "label queue of 60": (lambda: client.label_queue(group_set, label=label, limit=60), None),
        "one direction": (lambda: client.direction(any_direction()), None),
        "scatter": (lambda: client.scatter(directions[0].id, other=directions[1].id), None),
        "project": (lambda: client.project(slug), None),
        "projects": (client.projects, None),
        "group sets": (lambda: client.group_sets(slug), None),
    }


def _timed(ask: Callable[[], Any], repeats: int) -> tuple[float, list[float]]:
    """Seconds of the first request, and of the others."""
    found = []
    for _ in range(repeats + 1):
        started = perf_counter()
        ask()
        found.append(perf_counter() - started)
    return found[0], found[1:]
