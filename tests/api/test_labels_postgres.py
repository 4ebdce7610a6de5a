"""Labels on a real Postgres: the queue's orders, and many writers on one group set."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from backend.services import groups
from backend.store import groups as group_store
from backend.store import tables
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import GroupSource, LabelOrder
from unskew.schemas.params import InputShape

pytestmark = pytest.mark.postgres
N = 200


@pytest.fixture
def store(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store on a database of its own, with one project of N validation examples in one class."""
    name = f"labels_{uuid.uuid4().hex[:8]}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    opened = Store.open(tmp_path / "data", url=postgres_url.rsplit("/", 1)[0] + f"/{name}")
    with opened.session() as session:
        project = tables.Project(
            slug="p",
            name="p",
            class_names=["c"],
            attributes=[],
            shape=InputShape.image(8).model_dump(mode="json"),
            fingerprint="f",
            source={"root": "/"},
        )
        session.add(project)
        session.flush()
        rows = [
            tables.Example(
                project_id=project.id, split="validation", position=i, label=0, path=f"{i}.png", content_hash="0"
            )
            for i in range(N)
        ]
        session.add_all(rows)
        session.flush()
        members = [
            {"example_id": row.id, "position": i, "label": 0, "suggestion": i % 2, "rank": (i - 99.5) / 7}
            for i, row in enumerate(rows)
        ]
        group_store.create(session, project, "g", GroupSource.PSEUDO, [["a", "b"]], members)
    yield opened
    opened.close()


@pytest.mark.parametrize("order", [o for o in LabelOrder if o is not LabelOrder.DISAGREEMENT])
def test_every_order_offers_every_example_once(store: Store, order: LabelOrder) -> None:
    found: list[api.LabelItem] = []
    after = None
    while True:
        page = groups.queue(store, 1, order=order, after=after, limit=33)
        found, after = found + page.items, page.next
        if after is None:
            break
    assert len(found) == N and {item.example.position for item in found} == set(range(N))


def test_many_label_at_once(store: Store) -> None:
    ids = [item.example.id for item in groups.queue(store, 1, limit=N).items][:10]

    def person(name: int) -> None:
        for n in range(20):
            write = api.LabelWrite(key=f"person-{name}-{n}", example_id=ids[(name + n) % 10], group=n % 2)
            for _ in range(2):
                groups.write(store, 1, api.LabelBatch(labels=[write], annotator=f"p{name}"))
        groups.undo(store, 1, api.AnnotatorBody(annotator=f"p{name}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(person, range(8)))
    assert groups.get(store, 1).version == 8 * 21
    with store.read() as session:
        assert group_store.n_events(session, 1) == 8 * 21
