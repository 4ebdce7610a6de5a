"""A clock that a test can set, in every Python process that starts with this folder in PYTHONPATH.

The file named by TEST_CLOCK holds the seconds by which wall clocks are off: Python's, and SQLite's `now` in every
connection. Monotonic clocks and sleeps stay as they are, as on a machine whose clock somebody sets.
"""

import os
import sqlite3
import sqlite3.dbapi2
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import time_machine

CLOCK = Path(os.environ["TEST_CLOCK"])
_connect = sqlite3.dbapi2.connect


def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    connection = _connect(*args, **kwargs)
    plain = _connect(":memory:", check_same_thread=False)
    for name in ("julianday", "unixepoch", "strftime", "datetime"):

        def faked(*given: Any, name: str = name) -> Any:
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            given = (now, *given) if given[:1] == ("subsec",) else tuple(now if a == "now" else a for a in given)
            return plain.execute(f"SELECT {name}({', '.join('?' * len(given))})", given).fetchone()[0]

        connection.create_function(name, -1, faked)
    return connection


def follow(traveller: Any) -> None:
    shift = 0.0
    while True:
        wanted = float(CLOCK.read_text() or shift)  # empty while it is written
        if wanted != shift:
            traveller.shift(wanted - shift)
            shift = wanted
        time.sleep(0.05)


sqlite3.dbapi2.connect = sqlite3.connect = connect  # type: ignore[assignment]
threading.Thread(target=follow, args=[time_machine.travel(datetime.now(UTC), tick=True).start()], daemon=True).start()
