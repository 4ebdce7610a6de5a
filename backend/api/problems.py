"""Every error as `application/problem+json` (RFC 9457): what is wrong, where, and how to mend it."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException

from backend.logs import request_id
from backend.store.db import is_busy
from unskew import errors
from unskew.schemas import api

log = logging.getLogger("unskew.api")

MEDIA_TYPE = "application/problem+json"
STATUS: dict[str, int] = {
    errors.DataError.code: 422,
    errors.ModelError.code: 422,
    errors.SettingsError.code: 422,
    errors.NotFoundError.code: 404,
    errors.ConflictError.code: 409,
    errors.StorageError.code: 507,
    errors.LoginError.code: 401,
    errors.RightsError.code: 403,
    errors.ServerError.code: 503,
}
TITLES: dict[str, str] = {
    "data": "The examples cannot be used",
    "model": "The model cannot be used",
    "settings": "A setting is not possible",
    "not_found": "Not found",
    "conflict": "Not now",
    "storage": "The store cannot be used",
    "login": "Please log in",
    "rights": "Not allowed",
    "server": "The server cannot answer",
    "request": "The request does not fit",
    "internal": "Internal error",
}


def install(app: FastAPI) -> None:
    """Make the application answer every error in this one shape."""
    app.add_exception_handler(errors.UnskewError, _unskew)
    app.add_exception_handler(RequestValidationError, _request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(DataError, _out_of_range)  # Postgres
    app.add_exception_handler(OverflowError, _out_of_range)  # SQLite
    app.add_exception_handler(Exception, _internal)


def response(
    code: str, status: int, detail: str, fix: str = "", rows: list[api.RowProblem] | None = None
) -> JSONResponse:
    problem = api.Problem(
        type=f"urn:unskew:{code}",
        title=TITLES.get(code, "Error"),
        status=status,
        detail=detail,
        fix=fix,
        rows=rows or [],
        request_id=request_id.get(),
    )
    return JSONResponse(problem.model_dump(mode="json"), status_code=status, media_type=MEDIA_TYPE)


def _unskew(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.UnskewError)
    rows = [api.RowProblem(**vars(row)) for row in error.rows]
    return response(error.code, STATUS.get(error.code, 400), error.what, error.fix, rows)


def _request(request: Request, error: Exception) -> JSONResponse:
    """Fields that are missing, unknown or of the wrong kind, each named."""
    assert isinstance(error, RequestValidationError)
    rows = [
        api.RowProblem(
            row=None,
            field=_written(".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0])),
            value=_written(repr(found.get("input"))[:80]),
            message=found["msg"],
        )
        for found in error.errors()
    ]
    first = rows[0]
    detail = f"{first.field}: {first.message}" + (f" (got {first.value})." if first.value != "None" else ".")
    return response("settings", 422, detail, "See /docs for what this request takes.", rows)


def _written(text: str) -> str:
    """The text in letters that an answer can hold: half a surrogate pair is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "request"
    made = response(code, error.status_code, str(error.detail), "See /docs for what there is.")
    made.headers.update(error.headers or {})
    return made


def _database(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OperationalError)
    log.error("%s %s: %s", request.method, request.url.path, error.orig)
    if is_busy(error):
        return response("server", 503, "The database is busy.", "Try again in a moment.")
    return response(
        "storage", 507, f"The database cannot be used: {error.orig}.", "Free some space; `unskew doctor` says more."
    )


def _out_of_range(request: Request, error: Exception) -> JSONResponse:
    """A number that the database cannot hold is the number of nothing."""
    return response("not_found", 404, "There is no such thing.", "See /docs for what there is.")


def _internal(request: Request, error: Exception) -> JSONResponse:
    """A bug of ours: the traceback goes to the log, not to the caller."""
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    detail = f"Something broke in the server ({type(error).__name__})."
    return response("internal", 500, detail, "The server's log has the details.")
