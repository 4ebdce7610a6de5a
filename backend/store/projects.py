"""Projects and their examples: registering all rows or none, and reading columns as arrays in position order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import ConflictError, NotFoundError
from unskew.schemas.enums import DataKind, Layout, Split
from unskew.schemas.params import ImportParams, InputShape

if TYPE_CHECKING:
    from backend.store.db import Store
    from unskew.data import Data, Examples

ROWS_AT_ONCE = 5_000
INPUTS = "inputs"


def slug(name: str) -> str:
    """The short name of a project: lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "project"


def refuse_taken(session: Session, name: str) -> None:
    taken = session.scalar(select(tables.Project.id).where(tables.Project.slug == slug(name)))
    if taken is not None:
        raise ConflictError(
            f"There is a project {slug(name)!r} already.", fix="Choose another name, or delete that project first."
        )


def create_project(
    session: Session, params: ImportParams, examples: Examples, shape: InputShape, inputs: str
) -> tables.Project:
    """Register a project with every row of it, in the caller's transaction."""
    refuse_taken(session, params.name)
    project = tables.Project(
        slug=slug(params.name),
        name=params.name,
        class_names=list(examples.class_names),
        attributes=sorted(examples.attributes),
        shape=shape.model_dump(mode="json"),
        fingerprint=examples.fingerprint,
        source=params.model_dump(mode="json") | {"root": str(examples.root), "layout": examples.layout},
        inputs=inputs,
    )
    session.add(project)
    session.flush()
    for rows in _batches(_example_rows(project.id, examples)):
        session.execute(insert(tables.Example), rows)
    if examples.attributes:
        _insert_attributes(session, project.id, examples)
    return project


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _example_rows(project_id: int, examples: Examples) -> Iterator[dict[str, Any]]:
    for split in Split:
        for position, row in enumerate(examples.positions(split)):
            yield {
                "project_id": project_id,
                "split": split.value,
                "position": position,
                "label": int(examples.label[row]),
                "path": examples.paths[row],
                "content_hash": examples.content_hash[row],
                "content": examples.content[row] if examples.content else None,
            }


def _insert_attributes(session: Session, project_id: int, examples: Examples) -> None:
    found = session.execute(
        select(tables.Example.split, tables.Example.position, tables.Example.id).where(
            tables.Example.project_id == project_id
        )
    )
    ids = {(split, position): example_id for split, position, example_id in found}

    def rows() -> Iterator[dict[str, Any]]:
        for name, values in examples.attributes.items():
            for split in Split:
                for position, row in enumerate(examples.positions(split)):
                    if values[row]:
                        key = (split.value, position)
                        yield {
                            "example_id": ids[key],
                            "project_id": project_id,
                            "name": name,
                            "value": str(values[row]),
                        }

    for batch in _batches(rows()):
        session.execute(insert(tables.AttributeValue), batch)


# Built once: nearly every request asks.
_BY_ID = select(tables.Project).where(tables.Project.id == bindparam("name"))
_BY_SLUG = select(tables.Project).where(tables.Project.slug == bindparam("name"))


def get(session: Session, name: str | int) -> tables.Project:
    """By short name or number."""
    row = session.scalar(_BY_ID if isinstance(name, int) else _BY_SLUG, {"name": name})
    if row is None:
        known = list(session.scalars(select(tables.Project.slug).order_by(tables.Project.created_at.desc()).limit(8)))
        raise NotFoundError(
            f"There is no project {name!r}.",
            fix=f"There are: {', '.join(known)}."
            if known
            else "There is none yet: `unskew demo`, or `unskew import SOURCE`.",
        )
    return row


def slug_of(session: Session, project_id: int | None) -> str | None:
    """The short name; None for no project, or for one that was deleted."""
    return session.scalar(select(tables.Project.slug).where(tables.Project.id == project_id))


def slugs(session: Session, visible: Collection[int] | None = None) -> dict[str, int]:
    """Number by short name; `visible`: only these numbers."""
    found = session.execute(select(tables.Project.slug, tables.Project.id))
    return {slug: number for slug, number in found if visible is None or number in visible}


def list_projects(session: Session) -> list[tables.Project]:
    """Newest first."""
    return list(session.scalars(select(tables.Project).order_by(tables.Project.created_at.desc())))


def shape(project: tables.Project) -> InputShape:
    """What one example is for a model."""
    return InputShape.model_validate(project.shape)


def labels(session: Session, project_id: int, split: Split) -> NDArray[np.int64]:
    """int64 (n,), in position order."""
    query = select(tables.Example.label).where(tables.Example.project_id == project_id, tables.Example.split == split)
    return np.fromiter(session.scalars(query.order_by(tables.Example.position)), dtype=np.int64)


def contents(session: Session, project_id: int, split: Split) -> list[str]:
    """Texts, or rows of a table as JSON, in position order; "" for images."""
    query = select(tables.Example.content).where(tables.Example.project_id == project_id, tables.Example.split == split)
    return [content or "" for content in session.scalars(query.order_by(tables.Example.position))]


def attribute(session: Session, project_id: int, split: Split, name: str) -> NDArray[np.str_]:
    """str (n,), in position order; "" where the example has no value."""
    value = tables.AttributeValue
    query = (
        select(value.value)
        .select_from(tables.Example)
        .outerjoin(value, (value.example_id == tables.Example.id) & (value.name == name))
        .where(tables.Example.project_id == project_id, tables.Example.split == split)
        .order_by(tables.Example.position)
    )
    return np.array([found or "" for found in session.scalars(query)], dtype=np.str_)


def attribute_known(session: Session, project_id: int, split: Split, name: str) -> bool:
    """Whether any example of the split has a value."""
    value = tables.AttributeValue
    query = (
        select(value.example_id)
        .join(tables.Example, tables.Example.id == value.example_id)
        .where(value.project_id == project_id, value.name == name, tables.Example.split == split)
    )
    return session.scalar(query.limit(1)) is not None


def examples(session: Session, project: tables.Project) -> Examples:
    """Every row as it was imported, split by split, in position order."""
    from unskew.data import Examples

    row = tables.Example
    query = select(row.split, row.label, row.path, row.content_hash, row.content).where(row.project_id == project.id)
    found = [r for split in Split for r in session.execute(query.where(row.split == split).order_by(row.position))]
    kind, layout = shape(project).kind, project.source.get("layout")
    return Examples(
        root=Path(project.source["root"]),
        class_names=tuple(project.class_names),
        paths=tuple(r.path for r in found),
        label=np.array([r.label for r in found], dtype=np.int64),
        split=np.array([r.split for r in found], dtype="<U10"),
        attributes={
            name: np.concatenate([attribute(session, project.id, split, name) for split in Split])
            for name in project.attributes
        },
        content_hash=tuple(r.content_hash for r in found),
        fingerprint=project.fingerprint,
        layout=layout if layout is None or ":" in layout else Layout(layout),
        kind=kind,
        content=() if kind is DataKind.IMAGE else tuple(r.content or "" for r in found),
    )


def data(store: Store, session: Session, project: tables.Project, *, attributes: Iterable[str] = ()) -> Data:
    """What a trainer takes: memory-mapped inputs, labels, and only those attributes that are asked for."""
    from unskew.data import Data, SplitArrays

    def split_arrays(split: Split) -> SplitArrays:
        return SplitArrays(
            inputs=store.artifacts.load(INPUTS, str(project.inputs), f"{split.value}.npy"),
            label=labels(session, project.id, split),
            attributes={name: attribute(session, project.id, split, name) for name in attributes},
        )

    test = split_arrays(Split.TEST)
    return Data(
        train=split_arrays(Split.TRAIN),
        validation=split_arrays(Split.VALIDATION),
        test=test if len(test) else None,
        class_names=tuple(project.class_names),
        shape=shape(project),
    )


def delete_project(session: Session, project: tables.Project) -> None:
    """Every row of the project; its artifacts are the caller's."""
    sets = select(tables.GroupSet.id).where(tables.GroupSet.project_id == project.id)
    scores = select(tables.ScoreSet.id).where(tables.ScoreSet.project_id == project.id)
    session.execute(delete(tables.Report).where(tables.Report.project_id == project.id))
    session.execute(delete(tables.Run).where(tables.Run.project_id == project.id))
    session.execute(delete(tables.PruneSet).where(tables.PruneSet.score_set_id.in_(scores)))
    session.execute(delete(tables.ScoreSet).where(tables.ScoreSet.project_id == project.id))
    session.execute(delete(tables.LabelEvent).where(tables.LabelEvent.group_set_id.in_(sets)))
    session.execute(delete(tables.Project).where(tables.Project.id == project.id))
