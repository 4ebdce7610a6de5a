"""What the processes write to standard error: text for people, or one JSON object a line for machines.

Every line written while a request is answered carries its `request_id`, every line of a job its `job_id`; who asked for
a job and what became of it can so be followed from the web process to the worker. `UNSKEW_LOG=json` chooses JSON,
`UNSKEW_LOG_LEVEL` how much; with JSON each request and each step of a job is a line (`info`).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from unskew.errors import SettingsError

FORMAT, LEVEL = "UNSKEW_LOG", "UNSKEW_LOG_LEVEL"
LEVELS = ("debug", "info", "warning", "error")
request_id: ContextVar[str] = ContextVar("request_id", default="")
job_id: ContextVar[str] = ContextVar("job_id", default="")
_OURS = {"request_id": request_id, "job_id": job_id}
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """time (UTC), level, logger, message, the ids, what `extra=` gave, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, held in _OURS.items() if (value := held.get())}
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class Text(logging.Formatter):
    """For a terminal; the ids at the end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        known = {name: getattr(record, name, "") or held.get() for name, held in _OURS.items()}
        ids = "".join(f" {name}={value}" for name, value in known.items() if value)
        return super().formatMessage(record) + ids


def is_json() -> bool:
    """Whether lines are JSON.

    Raises:
        SettingsError: UNSKEW_LOG is neither text nor json.
    """
    wanted = os.environ.get(FORMAT, "text").lower()
    if wanted not in ("text", "json"):
        raise SettingsError(f"{FORMAT}={wanted!r} is no format of logs.", fix="Say text or json.")
    return wanted == "json"


def configure(default: str = "warning") -> None:
    """Set up the root logger of this process.

    Args:
        default: the level of text where UNSKEW_LOG_LEVEL says nothing; that of JSON is info.
    Raises:
        SettingsError: a format or a level that is not there.
    """
    level = os.environ.get(LEVEL, "info" if is_json() else default).lower()
    if level not in LEVELS:
        raise SettingsError(f"{LEVEL}={level!r} is no level.", fix=f"Say one of {', '.join(LEVELS)}.")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if is_json() else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "alembic", "watchdog", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
