"""Attribution: features of one checkpoint on a chunk of one split a step, then the solve.

Chunks are artifacts under the hash of what makes them, each made under a lock of its own: a killed job does not repeat
them, and a second job with the same settings (but for `helper`), taken by another worker, shares the work. The
bits do not depend on who made which chunk: batches start at the chunk's first row, and their size follows from the
model alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError

from backend.store import attributions, pages, projects, runs, tables
from backend.store.artifacts import content_id
from backend.store.locks import file_lock, try_lock
from unskew.attribution import Attribution, Features, featurize, featurize_exact
from unskew.attribution.ridge import peak_bytes
from unskew.errors import Stopped
from unskew.models import build, load_state
from unskew.schemas.enums import Engine, Split
from unskew.schemas.params import AttributeParams, ModelSpec
from workers.by_matrix import by_matrix, makes_matrix
from workers.context import Context, Step
from workers.quality import proxies_of
from workers.runs import project_data

SPLITS = (Split.TRAIN, Split.VALIDATION)
CHUNK_ROWS = 2048  # or a multiple of it, where a split would have more than MOST_CHUNKS
MOST_CHUNKS = 1000
FEATURES_VERSION = 3  # rises with every change that changes features
POLL_SECONDS = 0.5


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, AttributeParams) and context.project_id is not None
    with context.store.read() as session:
        found = runs.erm_runs(session, context.project_id, params.run_ids)
    steps: list[Step] = []
    for run in found if not makes_matrix(params) else ():
        for split, rows in _chunks(context):
            title = f"features of {split.value}, checkpoint {run.seed}, rows {rows[0]:,} to {rows[1] - 1:,}"
            steps.append({"title": title, "run_id": run.id, "split": split.value, "rows": rows, "beside": True})
    return [*steps, {"title": "solve", "run_ids": [run.id for run in found]}]


def run(context: Context, step: Step) -> dict[str, Any]:
    if "run_ids" in step:
        return _solve(context, step["run_ids"])
    if not _make_chunk(context, step["run_id"], Split(step["split"]), (step["rows"][0], step["rows"][1])):
        context.log("another worker is making it")
    return {}


def _chunks(context: Context) -> Iterator[tuple[Split, tuple[int, int]]]:
    """Splits and their rows (first, last + 1), in order."""
    assert context.project_id is not None
    for split in SPLITS:
        with context.store.read() as session:
            n = len(projects.labels(session, context.project_id, split))
        size = CHUNK_ROWS * max(1, -(-n // (CHUNK_ROWS * MOST_CHUNKS)))
        for start in range(0, n, size):
            yield split, (start, min(start + size, n))


def _make_chunk(context: Context, run_id: int, split: Split, rows: tuple[int, int]) -> bool:
    """Make one chunk of features unless it is there; False when another worker is at it."""
    params = context.params
    assert isinstance(params, AttributeParams)
    artifacts = context.store.artifacts
    with context.store.read() as session:
        row = session.get_one(tables.Run, run_id)
    number = _chunk_id(params, row, split, rows)
    if not artifacts.exists(attributions.FEATURES, number):
        lock = try_lock(_lock_file(context, number))  # held until this function returns
        if lock is None:
            return False
        if not artifacts.exists(attributions.FEATURES, number):  # nobody finished it between the two looks
            started = time.monotonic()
            found = _featurized(context, row, split, rows)
            if split is Split.TRAIN:
                found = replace(found, rivals=None)  # only targets are compared by theirs
            artifacts.make(attributions.FEATURES, number, found.save)
            rate = len(found) / max(1e-6, time.monotonic() - started)
            context.log(f"{rate:,.0f} examples a second, {found.phi.shape[1]:,} features each")
    try:
        with context.store.session() as session:
            artifacts.write(session, attributions.FEATURES, number, _already_made)
    except IntegrityError:
        pass  # a twin wrote the same row
    return True


def _featurized(context: Context, row: tables.Run, split: Split, rows: tuple[int, int]) -> Features:
    params, project = context.params, context.project()
    assert isinstance(params, AttributeParams) and row.checkpoint is not None
    model = build(
        ModelSpec.model_validate(row.params["model"]),
        n_classes=len(project.class_names),
        shape=projects.shape(project),
        seed=row.seed,
    )
    path = context.store.artifacts.path(runs.CHECKPOINT, row.checkpoint, runs.CHECKPOINT_FILE)
    model.load_state_dict(load_state(path))
    model.to(context.device)
    data = project_data(context.store, project.id)
    arrays = data.train if split is Split.TRAIN else data.validation

    def name(position: int) -> str:
        with context.store.read() as session:
            (example,) = pages.by_position(session, project.id, split, [position])
        return f"{split.value} example {example.id} ({example.path})"

    common: dict[str, Any] = {
        "params": params,
        "device": context.device,
        "rows": rows,
        "name": name,
        "on_step": context.progress,
        "should_stop": context.should_stop,
    }
    if params.engine is Engine.EXACT:
        return featurize_exact(model, arrays.inputs, arrays.label, **common)
    basis = (data.train.inputs, data.train.label)
    return featurize(model, arrays.inputs, arrays.label, seed=params.seed + row.seed, basis=basis, **common)


def _chunk_id(params: AttributeParams, row: tables.Run, split: Split, rows: tuple[int, int]) -> str:
    settings = params.model_dump(mode="json", exclude={"run_ids", "damping", "helper"})
    return content_id(run=row.key, split=split, rows=rows, settings=settings, version=FEATURES_VERSION)


def _lock_file(context: Context, name: str) -> Path:
    folder = context.store.data / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"attribute-{name[:32]}"


def _already_made(folder: Path) -> None:
    raise AssertionError("the artifact is made before its row")


def _solve(context: Context, run_ids: list[int]) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, AttributeParams) and context.project_id is not None
    with context.store.read() as session:
        rows = [session.get_one(tables.Run, run_id) for run_id in run_ids]
    settings = params.model_dump(mode="json", exclude={"run_ids", "helper"})
    key = content_id(
        project=context.project_id, runs=[row.key for row in rows], settings=settings, version=FEATURES_VERSION
    )
    if not makes_matrix(params):
        _wait_for_chunks(context, run_ids)
    with file_lock(_lock_file(context, key)):  # of two jobs that share the work, one solves
        with context.store.read() as session:
            found = attributions.find(session, key)
        return {"attribution_id": found.id if found is not None else _solved(context, key, rows)}


def _wait_for_chunks(context: Context, run_ids: list[int]) -> None:
    """Until every chunk is there; those of a worker that died meanwhile are made here."""
    for run_id in run_ids:
        for split, rows in _chunks(context):
            while not _make_chunk(context, run_id, split, rows):
                if context.should_stop():
                    raise Stopped
                time.sleep(POLL_SECONDS)


def _solved(context: Context, key: str, rows: list[tables.Run]) -> int:
    params, artifacts, started = context.params, context.store.artifacts, time.monotonic()
    assert isinstance(params, AttributeParams) and context.project_id is not None
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=context.store.data / "work") as scratch:
        if makes_matrix(params):
            result = by_matrix(context, params, rows)
        else:
            result, facts["stated_peak_bytes"] = _by_features(context, params, rows, Path(scratch))
        if not artifacts.exists(attributions.ATTRIBUTION, key):
            artifacts.make(attributions.ATTRIBUTION, key, result.save)
        facts["solve_seconds"] = round(time.monotonic() - started, 2)
        facts[attributions.PROXIES] = proxies_of(context, result)
    with context.store.session() as session:
        artifacts.write(session, attributions.ATTRIBUTION, key, _already_made)
        row = tables.Attribution(
            project_id=context.project_id,
            key=key,
            run_ids=[row.id for row in rows],
            params=params.model_dump(mode="json"),
            n_train=result.n_train,
            n_targets=result.n_targets,
            projection_dim=max(result.diagnostics["projection_dim"]),
            diagnostics=result.diagnostics | facts,
            artifact=key,
        )
        session.add(row)
        session.flush()
        return row.id


def _by_features(
    context: Context, params: AttributeParams, rows: list[tables.Run], scratch: Path
) -> tuple[Attribution, int]:
    """From the stored chunks, and the memory that it was said to need [bytes]."""
    chunks = list(_chunks(context))

    def load(split: Split) -> list[list[Features]]:
        return [[_load(context, _chunk_id(params, row, s, part)) for s, part in chunks if s is split] for row in rows]

    train, targets = load(Split.TRAIN), load(Split.VALIDATION)
    n, m, p = sum(map(len, train[0])), sum(map(len, targets[0])), train[0][0].phi.shape[1]
    needed = peak_bytes(n, m, p) + 2 * 4 * m * p
    context.log(f"{n:,} training examples, {m:,} targets, {p:,} features: up to {needed / 1e9:.1f} GB of memory")
    made = Attribution.from_features(
        train,
        targets,
        damping=params.damping,
        q_power=params.q_power,
        error_damping=params.error_damping,
        scratch=scratch,
    )
    return made, needed


def _load(context: Context, number: str) -> Features:
    return Features.load(context.store.artifacts.path(attributions.FEATURES, number))
