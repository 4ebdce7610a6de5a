"""What whoever looks after a server sees: metrics, logs with the ids of requests and jobs, versions, settings, disk."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from api_house import ADDRESS, PROJECT, House, problem
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from test_rights import Caller, token, user

from backend import logs
from backend.store import jobs
from unskew.client import Client
from unskew.errors import RightsError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Role


def scraped(http: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, sorted labels) → value."""
    answer = http.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_metrics_count_requests_by_their_route_and_tell_how_the_house_stands(house: House) -> None:
    for path in (f"/projects/{PROJECT}", "/projects/none", "/nothing"):
        house.http.get(f"/api/v1{path}")
    house.http.get("/healthz")
    found = scraped(house.http)

    def n(route: str, status: str) -> float:
        labels = tuple(sorted({"method": "GET", "route": route, "status": status}.items()))
        return found["unskew_requests_total", labels]

    assert n("/projects/{slug}", "200") == 1 and n("/projects/{slug}", "404") == 1
    assert sum(value for (name, _), value in found.items() if name == "unskew_requests_total") == 3
    assert found["unskew_request_seconds_count", (("method", "GET"), ("route", "/projects/{slug}"))] == 2
    assert found["unskew_jobs", (("kind", "train"), ("status", "done"))] == 1
    assert found["unskew_workers", ()] == 0
    assert found["unskew_artifact_bytes", (("kind", "checkpoint"),)] > 0
    assert found["unskew_disk_free_bytes", ()] > 0


def test_metrics_are_for_those_who_may_view_everything(house: House) -> None:
    boss = user(house, "boss", Role.ADMIN, None)
    stranger = user(house, "stranger", Role.ADMIN, PROJECT)
    problem(house.http.get("/metrics"), 401)
    problem(Caller("stranger", stranger).http(house).get("/metrics"), 403)
    assert scraped(Caller("boss", boss).http(house))
    assert scraped(Caller("prometheus", token(house, "boss", Role.VIEWER).key).http(house))


# ---------------------------------------------------------------- ids
def test_a_request_has_an_id_in_header_problem_and_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="unskew.request"):
        given = house.http.get("/api/v1/projects/none", headers={"X-Request-ID": "from-the-proxy.1"})
        drawn = house.http.get("/api/v1/projects/none", headers={"X-Request-ID": "not one\nid"})
    assert given.headers["x-request-id"] == problem(given, 404).request_id == "from-the-proxy.1"
    assert drawn.headers["x-request-id"] == problem(drawn, 404).request_id
    assert len(problem(drawn, 404).request_id) == 16
    lines: list[Any] = [r for r in caplog.records if r.name == "unskew.request"]
    assert [(r.route, r.status, r.who) for r in lines] == [("/projects/{slug}", 404, "me")] * 2


def test_a_bug_of_ours_carries_the_id_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("backend.services.projects.get", broken)
    http = TestClient(house.http.app, base_url=ADDRESS, raise_server_exceptions=False)
    found = problem(http.get(f"/api/v1/projects/{PROJECT}", headers={"X-Request-ID": "abc"}), 500)
    assert found.request_id == "abc"


def line(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(logs.JsonLines().format(record))
    return found


def test_json_lines_hold_the_ids_and_what_was_given() -> None:
    record = logging.LogRecord("unskew.x", logging.WARNING, "f.py", 1, "%s went", ("é\n",), None)
    record.ms = 1.5
    held = logs.job_id.set("train-1")
    try:
        found = line(record)
        assert "job_id=train-1" in logs.Text().format(record)
    finally:
        logs.job_id.reset(held)
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "warning", "logger": "unskew.x", "message": "é\n went", "job_id": "train-1", "ms": 1.5}
    try:
        raise ValueError("deep")
    except ValueError:
        record = logging.LogRecord("unskew.x", logging.ERROR, "f.py", 1, "broke", (), sys.exc_info())
    assert "ValueError: deep" in line(record)["traceback"] and "job_id" not in line(record)


def test_what_a_job_says_is_logged_with_its_id(house: House, caplog: pytest.LogCaptureFixture) -> None:
    job = house.client.jobs(project=PROJECT)[0]
    with caplog.at_level(logging.INFO, logger="unskew.job"), house.store.session() as session:
        jobs.log(session, job.id, "half-way")
    assert [(line(r)["message"], line(r)["job_id"]) for r in caplog.records] == [("half-way", job.id)]


@pytest.mark.parametrize(("name", "value"), [(logs.FORMAT, "xml"), (logs.LEVEL, "loud")])
def test_a_setting_of_the_log_that_is_not_there_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}='{value}'"):
        logs.configure()


# ---------------------------------------------------------------- the server
def test_the_server_tells_admins_versions_settings_and_disk(house: House) -> None:
    found = house.client.server()
    assert found.versions["unskew"] and found.versions["torch"] and found.revision.isdigit()
    assert found.settings["data folder"] == str(house.store.data)
    assert found.disk["database"] > 0 and found.disk["artifacts/checkpoint"] > 0 and found.disk["free"] > 0
    assert found.limits["a request's body"] == 64 * 1024**2
    user(house, "boss", Role.ADMIN, None)
    editor = Client(http=Caller("ed", user(house, "ed", Role.EDITOR, PROJECT)).http(house))
    with pytest.raises(RightsError):
        editor.server()


def test_no_password_is_shown(house: House) -> None:
    house.store.url, kept = "postgresql+psycopg://me:secret@127.0.0.1/x", house.store.url
    try:
        assert "secret" not in house.http.get("/api/v1/server").text
    finally:
        house.store.url = kept


def test_the_shape_of_an_error_has_the_id() -> None:
    assert "request_id" in api.Problem.model_json_schema()["properties"]
