"""Kill −9 at random moments while people label and jobs run; then look whether anything was lost.

Two annotators label over HTTP and note what was acknowledged; two jobs train and one attributes; an inspector reads
every artifact that a row names and compares checksums, all the while. The web process, the worker or both are killed at
moments drawn from a seeded generator, and started again at once.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from jobs_house import DIGITS, TINY, House, free_port, start_web
from sqlalchemy import delete, select

from backend.services import doctor
from backend.services import groups as group_service
from backend.store import attributions, jobs, runs, tables
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus
from unskew.schemas.params import AttributeParams, Params, TrainJobParams, TrainParams

ROOT = Path(__file__).parents[2]
LONGEST = 15.0  # seconds between two kills
FIRST = TrainJobParams(model=TINY, train=TrainParams(epochs=2, batch_size=32), seeds=[0, 1])  # for the attribution


def asked(first: list[int]) -> list[tuple[JobKind, Params]]:
    """Three jobs; `first`: the runs that are there already."""
    train = [TrainParams(epochs=n, batch_size=32) for n in (20, 40)]
    return [
        *((JobKind.TRAIN, TrainJobParams(model=TINY, train=each, seeds=[0, 1, 2])) for each in train),
        (JobKind.ATTRIBUTE, AttributeParams(run_ids=first, projection_in=4, projection_out=4)),
    ]


def ask(store: Store) -> list[str]:
    with store.read() as session:
        first = [run.id for run in runs.list_runs(session, DIGITS) if run.params["train"]["epochs"] == 2]
    return [jobs.create(store, kind, params, DIGITS).id for kind, params in asked(first)]


class Annotator(threading.Thread):
    """Labels one example after another; a label counts as acknowledged when the answer says so."""

    def __init__(self, url: str, group_set: int, examples: list[int], name: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.url = f"{url}/api/v1/group-sets/{group_set}/labels"
        self.examples, self.me, self.stop = examples, name, stop
        self.acknowledged: dict[str, tuple[int, int]] = {}
        self.sent = 0

    def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            example, group = self.examples[n % len(self.examples)], n % 2
            write = {"key": f"{self.me}-{n:08d}", "example_id": example, "group": group}
            if self._send({"labels": [write], "annotator": self.me}):
                self.acknowledged[write["key"]] = (example, group)
                n += 1
            self.stop.wait(0.02)

    def _send(self, batch: dict[str, Any]) -> bool:
        """The same key again until it is acknowledged, as the dashboard does."""
        self.sent += 1
        try:
            return httpx.post(self.url, json=batch, timeout=60, trust_env=False).status_code == 200
        except httpx.TransportError:
            self.stop.wait(0.1)
            return False


class Inspector(threading.Thread):
    """Reads every file of every artifact that a row names: each must be whole at any moment."""

    def __init__(self, store: Store, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.store, self.stop = store, stop
        self.problems: list[str] = []
        self.looks = 0

    def run(self) -> None:
        while not self.stop.wait(0.3):
            with self.store.read() as session:
                self.problems += self.store.artifacts.problems(session)
            self.looks += 1


class Chaos:
    """One data folder with its two processes."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()

    def start(self, what: str) -> None:
        self.processes[what] = start_web(self.store, self.port) if what == "web" else House(self.store).start()

    def kill(self) -> None:
        chosen = self.random.choice(["web", "worker", "both"])
        self.kills[chosen] += 1
        parts = ["web", "worker"] if chosen == "both" else [chosen]
        for part in parts:
            self.processes[part].kill()
        for part in parts:
            self.processes[part].wait()
            self.start(part)

    def ended(self, ids: list[str]) -> bool:
        with self.store.read() as session:
            return all(
                jobs.get(session, i).status in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED) for i in ids
            )

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def calm(data: Path) -> dict[str, str]:
    """What the three jobs store when nobody disturbs them: digests by what they are."""
    store = Store.open(data)
    ask(store)
    assert House(store).start("calm", 60.0, "--once").wait(300) == 0
    found = results(store)
    store.close()
    return found


def results(store: Store) -> dict[str, str]:
    found: dict[str, str] = {}
    with store.read() as session:
        for made in session.scalars(select(tables.Attribution)):
            assert not found, "the attribution was stored twice"
            files = store.artifacts.manifest(attributions.ATTRIBUTION, made.artifact)["files"]
            found = {f"attribution, {name}": entry["sha256"] for name, entry in files.items()}
        for row in runs.list_runs(session, DIGITS):
            manifest = store.artifacts.manifest(runs.CHECKPOINT, str(row.checkpoint))
            name = f"{row.params['train']['epochs']} epochs, seed {row.seed}"
            assert name not in found, f"{name} was stored twice"
            found[name] = manifest["files"][runs.CHECKPOINT_FILE]["sha256"]
    return found


def campaign(store: Store, *, kills: int, seed: int, expected: dict[str, str]) -> dict[str, Any]:
    """Run it, check everything, and say what happened."""
    made = group_service.create(store, "digits", api.GroupSetCreate(name="chaos", attribute="border"))
    with store.read() as session:
        where = tables.GroupMember.group_set_id == made.id
        examples = [row.example_id for row in session.query(tables.GroupMember).filter(where)]
    chaos, stop = Chaos(store, seed), threading.Event()
    halves = (examples[::2], examples[1::2])
    people = [Annotator(chaos.url, made.id, half, f"person-{n}", stop) for n, half in enumerate(halves)]
    inspector = Inspector(store, stop)
    began = time.monotonic()
    try:
        for part in ("web", "worker"):
            chaos.start(part)
        for thread in (*people, inspector):
            thread.start()
        ids = ask(store)
        for _ in range(kills):
            if chaos.ended(ids):  # more kills than the jobs last: ask for the same work again, from nothing
                forget(store, ids)
                ids += ask(store)
            time.sleep(chaos.random.uniform(0.1, LONGEST))
            chaos.kill()
        until(lambda: chaos.ended(ids), 600)
        before = sum(len(person.acknowledged) for person in people)
        until(lambda: sum(len(person.acknowledged) for person in people) > before, 120)  # the web process is back too
    finally:
        stop.set()
        for thread in (*people, inspector):
            thread.join(90)
        chaos.end()
    with store.read() as session:
        states = Counter(jobs.get(session, i).status for i in ids)
    lost = lost_labels(store, made.id, people)
    found = results(store)
    mended = doctor.check(store, repair=True)
    after = [line for line in doctor.check(store)["problems"] if "free on the disk" not in line]
    return {
        "seed": seed,
        "kills": dict(chaos.kills),
        "seconds": round(time.monotonic() - began),
        "labels acknowledged": sum(len(person.acknowledged) for person in people),
        "labels lost": lost,
        "jobs": dict(states),
        "results that differ": sorted(name for name in expected if found.get(name) != expected[name]),
        "results": len(found),
        "looks at every checksum": inspector.looks,
        "half-written files seen": inspector.problems,
        "orphans removed by repair": mended["repaired"],
        "problems after repair": after,
    }


def forget(store: Store, ids: list[str]) -> None:
    """The rows that jobs made."""
    with store.session() as session:
        session.execute(delete(tables.Metric).where(tables.Metric.job_id.in_(ids)))
        session.execute(delete(tables.Run).where(tables.Run.job_id.in_(ids)))
        session.execute(delete(tables.Attribution))


def lost_labels(store: Store, group_set: int, people: list[Annotator]) -> list[str]:
    """Acknowledged labels without their event, stored twice, or not standing where the last of them says."""
    with store.read() as session:
        events = session.query(tables.LabelEvent).filter(tables.LabelEvent.group_set_id == group_set).all()
        members = session.query(tables.GroupMember).filter(tables.GroupMember.group_set_id == group_set).all()
    stored = Counter(event.key for event in events)
    last = {event.example_id: event.after["group"] for event in sorted(events, key=lambda e: e.id)}
    lost = [key for person in people for key in person.acknowledged if stored[key] != 1]
    stands = {member.example_id: member.group for member in members if member.by_hand}
    return lost + [f"example {number}" for number, group in last.items() if stands.get(number) != group]


def clean(report: dict[str, Any]) -> bool:
    """Whether nothing was lost."""
    bad = ("labels lost", "results that differ", "half-written files seen", "problems after repair")
    return not any(report[name] for name in bad) and set(report["jobs"]) == {JobStatus.DONE}


def until(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)
