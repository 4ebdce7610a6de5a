"""Errors that a user can mend.

    UnskewError            anything a user or their data can cause; never a bug of ours
    ├── DataError          examples, manifests, images; `rows` names the rows at fault
    ├── ModelError         model factories, checkpoints, shapes
    ├── SettingsError      a parameter out of range, or two that contradict each other
    ├── NotFoundError      an id or a name that is not there
    ├── ConflictError      the thing exists already, or something else must come first
    ├── StorageError       disk full, read-only folder, database that cannot be opened
    ├── LoginError         who asks is not known: no login, or one that has ended
    ├── RightsError        who asks is known, and may not do this
    └── ServerError        the server cannot be reached, or failed for a reason of its own

Each carries what is wrong (with the offending value) and `fix`: what to do about it. `assert` is for our own bugs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RowError:
    """One row of the user's data that cannot be used: where it is, what is wrong, how to mend it."""

    row: int | None  # 1-based line of the manifest (header = line 1); None for a folder tree
    field: str  # column or file at fault
    value: str  # the value found, shortened
    message: str


class UnskewError(Exception):
    """Base of every error that a user can mend; `str()` is one clear sentence with its fix."""

    code = "error"

    def __init__(self, what: str, *, fix: str = "", rows: Sequence[RowError] = ()) -> None:
        super().__init__(what if not fix else f"{what} {fix}")
        self.what = what
        self.fix = fix
        self.rows = list(rows)


class DataError(UnskewError):
    """The examples, their manifest or their images cannot be used."""

    code = "data"


class ModelError(UnskewError):
    """A model factory or a checkpoint cannot be used."""

    code = "model"


class SettingsError(UnskewError):
    """A parameter is out of range, or contradicts another."""

    code = "settings"


class NotFoundError(UnskewError):
    """There is no such object."""

    code = "not_found"


class ConflictError(UnskewError):
    """The object exists already, or another step must come first."""

    code = "conflict"


class StorageError(UnskewError):
    """The data folder or the database cannot be read or written."""

    code = "storage"


class LoginError(UnskewError):
    """Nobody is logged in, or the login or token has ended."""

    code = "login"


class RightsError(UnskewError):
    """The person or token may not do this."""

    code = "rights"


class ServerError(UnskewError):
    """The server cannot be reached, or failed for a reason of its own."""

    code = "server"


class Stopped(Exception):
    """Raised inside long library calls when `should_stop()` turns true; not an error."""
