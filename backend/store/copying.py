"""Every row of one database into another one of the same schema: between SQLite and Postgres, in either direction.

Both halves travel, our tables and the job engine's ledger, so that jobs which were queued or running go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, insert, inspect, select
from sqlalchemy.orm import Session

from backend.store import tables
from backend.store.transfer import keep_counting

AT_ONCE = 1_000
LEDGER = "dbos"  # the engine's schema in Postgres; SQLite has none
_STAYS = {"alembic_version", "dbos_migrations", "worker_beat"}  # says how this database is, or who is alive now


def is_empty(engine: Engine) -> bool:
    """Whether nobody has put anything into it."""
    with engine.connect() as connection:
        firsts = (select(table).limit(1) for table in _ours() if table.name not in _STAYS)
        return not any(connection.execute(first).first() for first in firsts)


def copy(source: Engine, target: Engine) -> int:
    """Rows as they are at one moment, whatever is written meanwhile; all of them or none. Their number."""
    n = 0
    snapshot = source.execution_options(isolation_level="REPEATABLE READ") if _is_postgres(source) else source
    into = target.execution_options(write=True)
    with snapshot.connect() as reading, into.begin() as writing:
        for table in _ours():
            if table.name not in _STAYS:
                n += _copy(reading, table, writing, table)
                keep_counting(Session(writing), table)
        known = _ledger(source)
        for name, table in _ledger(target).items():
            if name in known:
                n += _copy(reading, known[name], writing, table)
    return n


def _is_postgres(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _ours() -> list[Table]:
    """Parents before what refers to them."""
    return tables.Base.metadata.sorted_tables


def _ledger(engine: Engine) -> dict[str, Table]:
    """The job engine's tables by name, parents first."""
    schema = LEDGER if _is_postgres(engine) else None
    names = set(inspect(engine).get_table_names(schema=schema)) - set(tables.Base.metadata.tables) - _STAYS
    found = MetaData()
    found.reflect(engine, schema=schema, only=sorted(names))
    return {table.name: table for table in found.sorted_tables if table.name in names}


def _copy(reading: Connection, table: Table, writing: Connection, other: Table) -> int:
    shared = [column for column in table.columns if column.name in other.columns]
    order = list(table.primary_key) or shared[:1]
    n = 0
    for rows in _batches(reading, select(*shared).order_by(*order)):
        writing.execute(insert(other), rows)
        n += len(rows)
    return n


def _batches(reading: Connection, query: Any) -> Iterator[list[dict[str, Any]]]:
    found = reading.execution_options(stream_results=True).execute(query)
    for rows in found.mappings().partitions(AT_ONCE):
        yield [dict(row) for row in rows]
