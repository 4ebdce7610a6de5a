"""The rows of one project, out of a database and into another one, under new numbers.

Which tables belong to a project, and what their columns refer to, is asked of the schema itself, so that a table added
later travels too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Integer, Table, func, insert, select, text
from sqlalchemy.orm import Session

from backend.store import tables
from unskew.errors import DataError

Rows = dict[str, list[dict[str, Any]]]
# Who may do what, and what was done, belongs to the server.
_STAYS = {"artifact", "user", "right", "login", "token", "audit", "worker_beat"}
_KEYS = {"key", "run_key"}  # hashes of what made a row, unique in a database
_AT_ONCE = 1_000


def _scopes(project_id: int) -> dict[Table, ColumnElement[bool]]:
    """Tables of a project, parents first, each with the condition for its rows."""
    found: dict[Table, ColumnElement[bool]] = {}
    for table in tables.Base.metadata.sorted_tables:
        if table.name in _STAYS:
            continue
        if table.name == "project":
            found[table] = table.c.id == project_id
        elif "project_id" in table.c:
            found[table] = table.c.project_id == project_id
        else:
            key = next((k for k in table.foreign_keys if k.column.table in found), None)
            if key is not None:
                found[table] = key.parent.in_(select(key.column).where(found[key.column.table]))
    return found


def read(session: Session, project_id: int) -> Rows:
    """Every row of the project, by table, parents first; JSON values only."""
    return {
        table.name: [_plain(dict(row._mapping)) for row in session.execute(select(table).where(where))]
        for table, where in _scopes(project_id).items()
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


class Numbers:
    """New numbers for old ones, by table."""

    def __init__(self) -> None:
        self.new: dict[str, dict[Any, Any]] = {}

    def of(self, table: str, old: Any) -> Any:
        return self.new.get(table, {}).get(old, old)

    def inside(self, value: Any, table: str | None = None) -> Any:
        """A JSON value with the numbers under names such as `run_ids` and `group_set_id` replaced."""
        if isinstance(value, dict):
            return {name: self.inside(part, self._named(name) or table) for name, part in value.items()}
        if isinstance(value, list):
            return [self.inside(part, table) for part in value]
        return self.of(table, value) if table and isinstance(value, int) else value

    def _named(self, name: str) -> str | None:
        stem = re.sub(r"_ids?$", "", name)
        if stem != name and stem in self.new:
            return stem
        return "run" if re.fullmatch(r"run_\w+_\d+", name) else None  # results of jobs: run_erm_0


def write(session: Session, rows: Rows, *, slug: str, name: str, root: str) -> int:
    """Add the project under a short name of its own; its number.

    Args:
        root: folder that the examples' paths are relative to.
    Raises:
        DataError: a table or a column that this version does not know.
    """
    known = {table.name: table for table in _scopes(0)}
    unknown = [found for found in rows if found not in known]
    if unknown or len(rows.get("project", ())) != 1:
        raise DataError(f"The archive holds what this version does not know: {unknown}.", fix="Use the same version.")
    numbers, salt = Numbers(), secrets.token_hex(8)
    for table in known.values():  # all first: JSON columns name rows of tables that come later
        _number(session, table, rows.get(table.name, []), numbers)
    for table in known.values():
        made = [_row(table, row, numbers, salt) for row in rows.get(table.name, [])]
        for row in made:
            if table.name == "project":
                row |= {"slug": slug, "name": name, "source": row["source"] | {"root": root}}
            elif table.name == "report":
                row["token"] = secrets.token_urlsafe(24)
        for start in range(0, len(made), _AT_ONCE):
            session.execute(insert(table), made[start : start + _AT_ONCE])
        keep_counting(session, table)
    return int(numbers.of("project", rows["project"][0]["id"]))


def _number(session: Session, table: Table, rows: list[dict[str, Any]], numbers: Numbers) -> None:
    """Free numbers for rows that have one of their own, in the same order."""
    if "id" not in table.c or not rows:
        return
    old = sorted(row["id"] for row in rows)
    if isinstance(table.c.id.type, Integer):
        first = _last(session, table) + 1
        numbers.new[table.name] = {number: first + place for place, number in enumerate(old)}
    else:
        numbers.new[table.name] = {word: f"{word.split('-')[0]}-{uuid.uuid4().hex[:12]}" for word in old}


def _last(session: Session, table: Table) -> int:
    """The largest number ever given: where numbers are never given twice, a deleted row's counts."""
    largest = session.scalar(select(func.max(table.c.id))) or 0
    if session.get_bind().dialect.name == "sqlite" and table.dialect_options["sqlite"].get("autoincrement"):
        given = session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        return max(largest, given or 0)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f'LOCK TABLE "{table.name}" IN EXCLUSIVE MODE'))
        largest = session.scalar(select(func.max(table.c.id))) or 0
        given = session.scalar(text(f"SELECT last_value FROM {_sequence(session, table)}"))
        return max(largest, given or 0)
    return largest


def _sequence(session: Session, table: Table) -> str:
    return str(session.scalar(text(f"SELECT pg_get_serial_sequence('\"{table.name}\"', 'id')")))


def keep_counting(session: Session, table: Table) -> None:
    """Postgres: the next number comes after those that were just given."""
    counted = "id" in table.c and isinstance(table.c.id.type, Integer)
    if counted and session.get_bind().dialect.name == "postgresql":
        largest = session.scalar(select(func.max(table.c.id)))
        if largest:
            session.execute(text(f"SELECT setval('{_sequence(session, table)}', {int(largest)})"))


def _row(table: Table, row: dict[str, Any], numbers: Numbers, salt: str) -> dict[str, Any]:
    if set(row) - set(table.c.keys()):
        raise DataError(
            f"The archive's {table.name} has columns that this version does not know: "
            f"{sorted(set(row) - set(table.c.keys()))}.",
            fix="Use the version that wrote it, or a newer one.",
        )
    made: dict[str, Any] = {}
    for column in table.columns:
        value = row.get(column.name)
        target = next((key.column.table.name for key in column.foreign_keys), None)
        if value is None:
            made[column.name] = None
        elif column.name == "id":
            made[column.name] = numbers.of(table.name, value)
        elif target is not None:
            made[column.name] = numbers.of(target, value)
        elif column.name in _KEYS and table.name != "label_event":
            made[column.name] = hashlib.sha256(f"{salt}{value}".encode()).hexdigest()
        elif isinstance(value, dict | list):
            made[column.name] = numbers.inside({column.name: value})[column.name]
        elif column.name == "reverts":
            made[column.name] = numbers.of(table.name, value)
        elif isinstance(column.type, tables.Moment | DateTime):
            made[column.name] = datetime.fromisoformat(value)
        else:
            made[column.name] = value
    return made


def artifacts(session: Session, rows: Rows) -> list[tables.Artifact]:
    """The artifacts that these rows name."""
    told = repr({name: found for name, found in rows.items() if name != "example"})
    named = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", told))
    return [row for row in session.scalars(select(tables.Artifact)) if row.id in named]


def version(session: Session) -> str:
    """The schema's version, which an archive must share."""
    return str(session.scalar(text("SELECT version_num FROM alembic_version")))
