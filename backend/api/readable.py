"""What a request says must be something that a database can hold and an answer can repeat: said once, for every route.

JSON allows a zero byte, half of a surrogate pair and integers of any length; Python reads NaN and Infinity too. SQLite
takes some of them, Postgres refuses them half-way through a transaction, and UTF-8 cannot write others down.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError

LARGEST = 2**63 - 1  # of a column in either database
DEEPEST = 50
Place = tuple[str | int, ...]


async def _readable(request: Request) -> None:
    """Refuse what cannot be stored, with the field's name, before any route sees it."""
    given: dict[str, Any] = {"path": dict(request.path_params), "query": dict(request.query_params)}
    try:
        is_file = "octet-stream" in request.headers.get("content-type", "")
        given["body"] = await request.json() if not is_file and await request.body() else None
    except (ValueError, RecursionError):
        pass  # no JSON: FastAPI has refused it, or the route reads it otherwise, or not at all
    found = next(_faults(given), None)
    if found is not None:
        place, value, message = found
        raise RequestValidationError([{"loc": place, "input": value, "msg": message, "type": "value_error"}])


def _faults(given: Any) -> Iterator[tuple[Place, Any, str]]:
    todo: list[tuple[Place, Any]] = [((), given)]
    while todo:
        place, value = todo.pop()
        if len(place) > DEEPEST:
            yield place, "", f"Values may lie at most {DEEPEST} deep"
        elif isinstance(value, dict):
            todo += [((*place, "name"), name) for name in value] + [((*place, name), value[name]) for name in value]
        elif isinstance(value, list):
            todo += [((*place, number), part) for number, part in enumerate(value)]
        elif isinstance(value, str):
            if "\0" in value:
                yield place, value, "Text may not have a zero byte in it"
            elif any("\ud800" <= letter <= "\udfff" for letter in value):
                yield place, value, "Text may not have half of a surrogate pair in it"
        elif isinstance(value, float) and not isfinite(value):
            yield place, value, "A number must be finite"
        elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            yield place, value, f"A number must lie within ±{LARGEST}"


READABLE = Depends(_readable)
