"""Many people at once: annotators who label, and browsers that turn pages, while a training job runs beside them.

A copy of a real project is served by the real server with its users; every person is a coroutine that waits between
requests as people do. Bounded: to our own server on this machine, for at most `MOST_SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from sqlalchemy import func, select

from backend.bench.bars import milliseconds
from backend.bench.server import serving, working
from backend.services import accounts, backup
from backend.store import tables
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus, Role, Split
from unskew.schemas.params import TrainJobParams, TrainParams

MOST_SECONDS = 900
LABEL_MS, READ_MS = 150.0, 300.0  # bars of the 95th percentiles
ANNOTATOR_SECONDS, BROWSER_SECONDS = 2.0, 2.0  # mean time between two labels, two reads
QUEUE = 60  # examples of a page of the Label screen
PREFIX = "/api/v1"


@dataclass
class Times:
    """What was measured: seconds of every request that was answered, and what went wrong."""

    label: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Place:
    """What the people look at."""

    slug: str
    group_set_id: int
    directions: list[int]
    n_classes: int
    examples: list[int]


def bench_load(
    source: Store,
    slug: str,
    *,
    annotators: int = 50,
    browsers: int = 20,
    seconds: float = 300.0,
    url: str | None = None,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Latencies and errors of everybody together, and whether every acknowledged label is in the database.

    Args:
        seconds: how long; at most `MOST_SECONDS`.
        url: of an empty Postgres database; None: SQLite.
    """
    with TemporaryDirectory(dir=scratch) as folder:
        data = Path(folder) / "data"
        backup.backup(source, Path(folder) / "all.tar")
        backup.restore(Path(folder) / "all.tar", data, url)
        store = Store.open(data, url=url or f"sqlite:///{data / 'unskew.db'}")
        try:
            people = _people(store, annotators, browsers)
            with serving(data, store.url) as running, working(data, store.url):
                with Client(running.url, token=people["boss"]) as boss:
                    place = _place(boss, slug)
                    job = _training(boss, slug)
                    before = _n_labels(store)
                    found = asyncio.run(_everybody(running.url, people, place, min(seconds, MOST_SECONDS)))
                    trained = boss.job(job.id).status is JobStatus.RUNNING
                    boss.cancel_job(job.id)
                memory = round(running.memory())
            written = _n_labels(store) - before
        finally:
            store.close()
    label, read = milliseconds(found.label), milliseconds(found.read)
    met = not found.errors and label["p95_ms"] <= LABEL_MS and read["p95_ms"] <= READ_MS
    return {
        "database": "SQLite" if url is None else "Postgres",
        "annotators": annotators,
        "browsers": browsers,
        "seconds": seconds,
        "cores": os.cpu_count(),
        "label": label,
        "read": read,
        "errors": dict(found.errors),
        "labels_lost": len(found.label) - written,
        "training_ran_all_the_time": trained,
        "memory_mb": memory,
        "met": met and trained and written == len(found.label),
    }


def _people(store: Store, annotators: int, browsers: int) -> dict[str, str]:
    """Name → key of a token."""
    if not accounts.must_log_in(store):
        accounts.add_user(store, api.UserCreate(name="boss", role=Role.ADMIN))
    names = {f"annotator-{n}": Role.LABELER for n in range(annotators)}
    names |= {f"browser-{n}": Role.VIEWER for n in range(browsers)}
    for name, role in names.items():
        accounts.add_user(store, api.UserCreate(name=name, role=role))
    wanted = {name: api.TokenCreate(name="load", role=role, days=1) for name, role in names.items()}
    wanted["boss"] = api.TokenCreate(name="load", role=Role.ADMIN, days=1)
    return {name: accounts.add_token(store, name, token).key for name, token in wanted.items()}


def _place(boss: Client, slug: str) -> Place:
    directions = boss.directions(slug)
    first = [d.id for d in directions if d.index == 0]
    group_set = boss.create_group_set(slug, api.GroupSetCreate(name="load", direction_ids=first))
    project = boss.project(slug)
    validation = boss.examples(slug, split=Split.VALIDATION, limit=200).items
    return Place(
        slug,
        group_set.id,
        [d.id for d in directions],
        len(project.class_names),
        [row.id for row in validation],
    )


def _training(boss: Client, slug: str) -> api.Job:
    """A job that lasts longer than the measurement."""
    job = boss.start_job(slug, JobKind.TRAIN, TrainJobParams(train=TrainParams(epochs=10_000), seeds=[99]))
    end = time.monotonic() + 120
    while boss.job(job.id).status is not JobStatus.RUNNING and time.monotonic() < end:
        time.sleep(0.5)
    return job


def _n_labels(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(tables.LabelEvent)) or 0


# ---------------------------------------------------------------- people
async def _everybody(url: str, people: dict[str, str], place: Place, seconds: float) -> Times:
    times, end = Times(), time.monotonic() + seconds
    loop = [
        _annotator(_Person(url, name, key, times, end), place)
        if name.startswith("annotator")
        else _browser(_Person(url, name, key, times, end), place)
        for name, key in people.items()
        if name != "boss"
    ]
    await asyncio.gather(*loop)
    return times


class _Person:
    """One connection with its token, a clock, and chance of its own."""

    def __init__(self, url: str, name: str, key: str, times: Times, end: float) -> None:
        self.name, self.times, self.end = name, times, end
        self.chance = random.Random(name)
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.AsyncClient(base_url=url + PREFIX, headers=headers, timeout=30, trust_env=False)

    async def ask(self, kept: list[float], method: str, path: str, **sent: Any) -> httpx.Response | None:
        """Send and measure; None when it failed."""
        started = time.perf_counter()
        try:
            answer = await self.http.request(method, path, **sent)
        except httpx.HTTPError as error:
            self.times.errors[f"{method} {type(error).__name__}"] += 1
            return None
        if not answer.is_success:
            self.times.errors[f"{method} {path.split('?')[0]} {answer.status_code}"] += 1
            return None
        kept.append(time.perf_counter() - started)
        return answer

    async def think(self, mean: float) -> bool:
        """Wait as people do; whether there is time left."""
        await asyncio.sleep(self.chance.expovariate(1 / mean))
        return time.monotonic() < self.end


async def _annotator(person: _Person, place: Place) -> None:
    """Pages of the queue of a class, and a key press for each example on them."""
    sets, n, query = f"/group-sets/{place.group_set_id}", 0, _queue(person, place)
    async with person.http:
        while await person.think(ANNOTATOR_SECONDS):
            page = await person.ask(person.times.read, "GET", f"{sets}/queue", params=query)
            found = page.json() if page else {"items": [], "next": None}
            for item in found["items"]:
                if not await person.think(ANNOTATOR_SECONDS):
                    return
                write = {"key": f"{person.name}-{n:06d}", "example_id": item["example"]["id"], "group": n % 2}
                await person.ask(person.times.label, "POST", f"{sets}/labels", json={"labels": [write]})
                n += 1
            query = query | {"after": found["next"]} if found["next"] else _queue(person, place)


def _queue(person: _Person, place: Place) -> dict[str, Any]:
    """From the start of some class."""
    return {"label": person.chance.randrange(place.n_classes), "limit": QUEUE}


async def _browser(person: _Person, place: Place) -> None:
    """What screens read, one after the other in any order."""
    project = f"/projects/{place.slug}"
    pick = person.chance.choice
    reads: list[Callable[[], tuple[str, dict[str, Any]]]] = [
        lambda: (project, {}),
        lambda: (f"{project}/directions", {}),
        lambda: (f"/directions/{pick(place.directions)}", {}),
        lambda: (f"/directions/{pick(place.directions)}/strips", {"n": 24}),
        lambda: (f"{project}/examples", {"limit": 96, "after": str(person.chance.randrange(1000))}),
        lambda: (f"{project}/examples", {"limit": 96, "direction": pick(place.directions)}),
        lambda: (f"{project}/examples/{pick(place.examples)}/thumbnail", {"size": 128}),
        lambda: (f"{project}/examples/{pick(place.examples)}/thumbnail", {"size": 128}),
        lambda: (f"/group-sets/{place.group_set_id}", {}),
        lambda: (f"{project}/compare", {}),
        lambda: ("/jobs", {"project": place.slug}),
    ]
    async with person.http:
        while await person.think(BROWSER_SECONDS):
            path, query = pick(reads)()
            await person.ask(person.times.read, "GET", path, params=query)
