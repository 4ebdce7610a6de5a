"""A large project out of a small real one: its examples, predictions and directions repeated n times.

Rows, orders and pages are as large as they would be. Every picture is one of the real ones (a hard link each); values
are those of the real project's results, spread by noise, and inserted in bulk: nothing is trained or attributed here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from backend.store import attributions, pages, runs, tables
from backend.store import projects as project_store
from backend.store.artifacts import content_id
from backend.store.db import Store
from unskew.errors import ConflictError
from unskew.schemas.enums import Split

ROWS_AT_ONCE = 20_000
NOISE = 0.1  # of the standard deviation: copies of one example lie apart, and orders are not ties


def tile(source: Store, slug: str, target: Store, n: int, *, pictures: bool = True) -> str:
    """Write a project of about n examples into `target`, unless it is there; its short name.

    Args:
        pictures: link the files too; without them only rows and arrays can be asked for.
    """
    name = f"tiled-{n}"
    with target.read() as session:
        if name in project_store.slugs(session):
            return name
    with source.read() as session:
        project = project_store.get(session, slug)
        small = {
            split: pages.by_position(session, project.id, split, range_of(session, project, split)) for split in Split
        }
        found = attributions.newest_directions(session, project.id)
        if not found:
            raise ConflictError(
                f"{slug!r} has no directions yet.", fix="Run `unskew demo --once` on this folder first."
            )
        times = max(1, round(n / sum(len(rows) for rows in small.values())))
        with target.session() as writing:
            made = _project(writing, project, target, name)
            for split, rows in small.items():
                for batch in _batches(_rows(made.id, split, rows, times)):
                    writing.execute(insert(tables.Example), batch)
            _attribute_values(writing, made, small, times)
            run_ids = _runs(source, session, project, target, writing, made, times)
            _directions(source, session, found, target, writing, made, run_ids, small, times)
        if pictures:
            _link(Path(project.source["root"]), Path(made.source["root"]), small, times)
    return name


def rows_for(source: Store, slug: str, points: int) -> int:
    """Size of a tiled project whose smallest class has this many validation examples."""
    with source.read() as session:
        project = project_store.get(session, slug)
        in_class = np.bincount(project_store.labels(session, project.id, Split.VALIDATION))
        rows = sum(len(range_of(session, project, split)) for split in Split)
    return rows * -(-points // int(in_class.min()))


def range_of(session: Any, project: tables.Project, split: Split) -> list[int]:
    return list(range(len(project_store.labels(session, project.id, split))))


def _project(session: Any, project: tables.Project, target: Store, name: str) -> tables.Project:
    made = tables.Project(
        slug=name,
        name=name,
        class_names=project.class_names,
        attributes=project.attributes,
        shape=project.shape,
        fingerprint=f"{name}-{project.fingerprint}"[:64],
        source=project.source | {"root": str(target.data / "sources" / name)},
        inputs=None,
    )
    session.add(made)
    session.flush()
    return made


def _path(row: pages.Row, copy: int) -> str:
    place = Path(row.path)
    return f"{copy:04d}/{place.as_posix().lstrip('/').replace('/', '_')}"


def _rows(project_id: int, split: Split, rows: list[pages.Row], times: int) -> Iterator[dict[str, Any]]:
    for copy in range(times):
        for row in rows:
            yield {
                "project_id": project_id,
                "split": split.value,
                "position": copy * len(rows) + row.position,
                "label": row.label,
                "path": _path(row, copy),
                "content_hash": row.content_hash,
            }


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _attribute_values(session: Any, made: tables.Project, small: dict[Split, list[pages.Row]], times: int) -> None:
    def values() -> Iterator[dict[str, Any]]:
        for split, rows in small.items():
            keys = pages.keys(session, made.id, split)
            for place, (example_id, *_) in enumerate(keys):
                for name, value in rows[place % len(rows)].attributes.items():
                    yield {"example_id": example_id, "project_id": made.id, "name": name, "value": value}

    for batch in _batches(values()):
        session.execute(insert(tables.AttributeValue), batch)


def _runs(
    source: Store, session: Any, project: tables.Project, target: Store, writing: Any, made: tables.Project, times: int
) -> list[int]:
    """Every ERM checkpoint's predictions, tiled; there is no network behind them."""
    ids = []
    for run in runs.erm_runs(session, project.id):
        number = content_id(tiled=made.slug, run=run.id)

        def save(folder: Path, run: tables.Run = run) -> None:
            for split in (Split.VALIDATION, Split.TEST):
                for name in ("prediction", "loss"):
                    file = f"{name}_{split.value}.npy"
                    np.save(
                        folder / file, np.tile(source.artifacts.load(runs.PREDICTIONS, run.predictions, file), times)
                    )

        target.artifacts.write(writing, runs.PREDICTIONS, number, save)
        row = tables.Run(
            project_id=made.id,
            key=number,
            method=run.method,
            seed=run.seed,
            params=run.params,
            n_train=run.n_train * times,
            seconds=run.seconds,
            predictions=number,
            checkpoint=number,
        )
        writing.add(row)
        writing.flush()
        ids.append(row.id)
    return ids


def _directions(
    source: Store,
    session: Any,
    found: list[tables.Direction],
    target: Store,
    writing: Any,
    made: tables.Project,
    run_ids: list[int],
    small: dict[Split, list[pages.Row]],
    times: int,
) -> None:
    old = session.get(tables.Attribution, found[0].attribution_id)
    copied = tables.Attribution(
        project_id=made.id,
        key=f"{made.slug}-attribution",
        run_ids=run_ids,
        params=old.params,
        n_train=old.n_train * times,
        n_targets=old.n_targets * times,
        projection_dim=old.projection_dim,
        diagnostics=old.diagnostics,
        artifact=f"{made.slug}-attribution",
    )
    writing.add(copied)
    writing.flush()
    sizes = {split: len(rows) for split, rows in small.items()}
    train_label = np.tile([row.label for row in small[Split.TRAIN]], times)
    for artifact, label in sorted({(d.artifact, d.label) for d in found}, key=lambda pair: pair[1]):
        number = content_id(tiled=made.slug, directions=label)

        def save(folder: Path, artifact: str = artifact, label: int = label) -> None:
            load = partial(source.artifacts.load, attributions.DIRECTIONS, artifact)

            rng = np.random.default_rng(label)
            copies = np.arange(times)[:, None] * sizes[Split.VALIDATION]
            np.save(folder / "positions.npy", (copies + load("positions.npy")).ravel())
            for values, order, own in (
                ("projections.npy", "validation_order.npy", None),
                ("loadings.npy", "training_order.npy", np.flatnonzero(train_label == label)),
            ):
                tiled = np.tile(load(values), (1, times))
                tiled += (NOISE * tiled.std() * rng.standard_normal(tiled.shape)).astype(np.float32)
                np.save(folder / values, tiled)
                places = np.argsort(tiled if own is None else tiled[:, own], axis=1, kind="stable")
                np.save(folder / order, places if own is None else own[places])

        target.artifacts.write(writing, attributions.DIRECTIONS, number, save)
        for d in found:
            if d.label == label:
                columns = ("label", "index", "kind", "share", "scree", "params", "evidence")
                same = {name: getattr(d, name) for name in columns}
                key = f"{made.slug}-directions"
                writing.add(tables.Direction(attribution_id=copied.id, key=key, artifact=number, **same))


def _link(old: Path, new: Path, small: dict[Split, list[pages.Row]], times: int) -> None:
    for copy in range(times):
        (new / f"{copy:04d}").mkdir(parents=True, exist_ok=True)
        for rows in small.values():
            for row in rows:
                os.link(old / row.path, new / _path(row, copy))
