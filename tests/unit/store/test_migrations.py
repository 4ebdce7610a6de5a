"""Every schema that was ever released, with rows in every table, is brought up to date without losing one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    create_engine,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from backend.store.db import MIGRATIONS, Store

ROWS = 2  # a table


def revisions() -> list[str]:
    """Oldest first."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return [found.revision for found in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def at_revision(url: str, revision: str) -> Engine:
    """A database whose schema is an old one."""
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def _value(column: str, kind: TypeEngine[Any], number: int) -> Any:
    if isinstance(kind, JSON):
        return {"number": number, "text": "ü"}
    if isinstance(kind, DateTime):
        return datetime(2025, 1, number, tzinfo=UTC)
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer):
        return number
    return number + 0.5 if isinstance(kind, Float) else f"{column}-{number}"[:10]


def fill(engine: Engine, metadata: MetaData) -> dict[str, list[dict[str, Any]]]:
    """Rows in every table, each referring to the row of its number in the others; read back as they stand."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for number in range(1, ROWS + 1):
                row = {c.name: _value(c.name, c.type, number) for c in table.columns}
                for key in table.foreign_keys:
                    row[key.parent.name] = _value(key.column.name, key.column.type, number)
                connection.execute(insert(table).values(row))
    return read(engine, metadata)


def read(engine: Engine, metadata: MetaData) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


def reflected(engine: Engine, names: Iterable[str] = ()) -> MetaData:
    """Our tables as they are in this database, or those of these names."""
    metadata = MetaData()
    metadata.reflect(engine, only=list(names) or (lambda name, _: name != "alembic_version"))
    return metadata


def moved(row: dict[str, Any], table: Table) -> dict[str, Any]:
    """The part of an old row that has a column of its own in the newest schema; columns that were renamed included."""
    renamed = {"pixels": "inputs"}
    return {renamed.get(name, name): value for name, value in row.items() if renamed.get(name, name) in table.columns}


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of the kind that the test asks for."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'unskew.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.mark.slow
@pytest.mark.parametrize("revision", revisions())
@pytest.mark.parametrize("fresh", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_an_old_database_keeps_every_row(fresh: str, revision: str, tmp_path: Path) -> None:
    engine = at_revision(fresh, revision)
    old = reflected(engine)
    before = fill(engine, old)
    engine.dispose()
    assert len(before) >= 15 and all(len(rows) == ROWS for rows in before.values())
    store = Store.open(tmp_path, url=fresh)
    try:
        new = reflected(store.engine, before)
        after = read(store.engine, new)
        for name, rows in before.items():
            expected = [moved(row, new.tables[name]) for row in rows]
            found = [{key: row[key] for key in wanted} for row, wanted in zip(after[name], expected, strict=True)]
            assert found == expected, name
    finally:
        store.close()
