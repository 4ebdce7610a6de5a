"""The application itself: one error shape, no torch, no strangers, one port with the dashboard."""

from __future__ import annotations

import inspect
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
from api_house import House, problem
from pydantic import BaseModel
from starlette.testclient import TestClient

from backend.api.serve import check_address
from unskew import __version__
from unskew.client import PREFIX, Client
from unskew.errors import ConflictError, ServerError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus, PruneRule
from unskew.schemas.params import ImportParams

ROOT = Path(__file__).parents[2]


def test_health_and_version(shared: House) -> None:
    assert shared.client.health() == api.Health(worker=False, active_jobs=0)
    assert shared.client.version().unskew == __version__


def test_the_docs_are_there(shared: House) -> None:
    assert shared.http.get("/docs").status_code == 200
    schema = shared.http.get("/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            described = operation.get("description") or operation.get("summary")
            assert described and operation["tags"], (method, path)
            assert operation["responses"]["4XX"], (method, path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/projects", 404),
        ("PUT", "/api/v1/projects", 404),
        ("GET", "/api/v1/jobs/none", 404),
        ("GET", "/api/v1/runs", 404),
        ("GET", "/api/v1/group-sets/x", 422),
        ("POST", "/api/v1/projects", 422),
        ("GET", "/r/none", 404),
    ],
)
def test_every_error_has_one_shape(shared: House, method: str, path: str, status: int) -> None:
    problem(shared.http.request(method, path), status)


def test_a_bug_of_ours_is_a_problem_without_its_insides(empty: House) -> None:
    app: Any = empty.http.app

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("secret")

    app.router.routes.insert(0, app.router.routes.pop())
    http = TestClient(app, base_url="http://127.0.0.1:8501", raise_server_exceptions=False)
    assert "secret" not in problem(http.get("/api/v1/broken"), 500, "RuntimeError").detail


def test_the_client_raises_what_the_server_raised(empty: House) -> None:
    with pytest.raises(SettingsError) as caught:
        empty.client.import_project(ImportParams.model_construct(source="x", name="", image_size=16))
    assert caught.value.rows[0].field == "name" and caught.value.fix


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(ServerError, match="unskew up"):
        client.projects()


def test_foreign_names_and_pages_are_refused(shared: House) -> None:
    problem(shared.http.get("/api/v1/projects", headers={"Host": "evil.example:8501"}), 421, "evil.example")
    foreign = {"Origin": "https://evil.example"}
    problem(shared.http.post("/api/v1/jobs/x/cancel", headers=foreign), 403, "evil.example")
    problem(shared.http.post("/api/v1/jobs/x/cancel", headers={"Origin": "null"}), 403)
    own = {"Origin": "http://127.0.0.1:8501"}
    problem(shared.http.post("/api/v1/jobs/x/cancel", headers=own), 404)
    assert shared.http.get("/api/v1/projects", headers={"Host": "localhost"}).status_code == 200


def test_a_port_in_use_is_said_before_anything_starts(empty: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"another program.*--port {port + 1}"):
            check_address(empty.store, "127.0.0.1", port)
    check_address(empty.store, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_without_users_it_listens_on_this_machine_only(empty: House, host: str) -> None:
    with pytest.raises(SettingsError, match=r"no users yet.*unskew user add"):
        check_address(empty.store, host, 8501)


def test_the_web_process_never_imports_torch(tmp_path: Path) -> None:
    """With the dashboard mounted and every route's module loaded."""
    code = f"""
import sys
from backend.store.db import Store
from backend.api.app import create_app
create_app(Store.open({str(tmp_path / "data")!r}), ui=True)
heavy = {"{"}"torch", "torchvision", "traker", "unskew.attribution", "unskew.training"{"}"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)


def test_api_and_dashboard_answer_on_one_port(empty: House, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = f"""
from backend.store.db import Store
from backend.api.serve import serve
serve(Store.open({str(tmp_path / "data")!r}), "127.0.0.1", {port})
"""
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            _until_up(client, server)
            assert client.projects() == []
            as_browsers_do = {"Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "gzip, br"}
            page = httpx.get(f"http://127.0.0.1:{port}/discover", headers=as_browsers_do, trust_env=False)
            assert page.status_code == 200 and "text/html" in page.headers["content-type"]
            assert 'BACKEND_BASE_URL: location.origin + "/"' in page.text and page.text.endswith("</html>\n")
            assert page.headers["cache-control"] == "no-cache" and "etag" not in page.headers
            assert httpx.get(f"http://127.0.0.1:{port}/_stcore/health", trust_env=False).status_code == 200
            problem(httpx.get(f"http://127.0.0.1:{port}/api/v1/nothing", trust_env=False), 404)
            with pytest.raises(ConflictError, match="another Unskew"):
                check_address(empty.store, "127.0.0.1", port)
    finally:
        server.terminate()
        assert server.wait(20) in (0, -15)


def _until_up(client: Client, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        try:
            client.health()
            return
        except ServerError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not come up: {server.poll()}")


# ---------------------------------------------------------------- the client covers the API
class Recorder:
    """A transport that notes what is asked for and answers nothing."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    def request(self, method: str, url: str, *, params: Any = None, **sent: Any) -> Any:
        self.asked.add((method, url))
        return httpx.Response(404, json={})

    def close(self) -> None:
        pass


GIVEN: dict[str, Any] = {
    "slug": "{slug}",
    "example_id": "{example_id}",
    "job_id": "{job_id}",
    "direction_id": "{direction_id}",
    "group_set_id": "{group_set_id}",
    "score_set_id": "{score_set_id}",
    "prune_set_id": "{prune_set_id}",
    "report_id": "{report_id}",
    "user_name": "{user_name}",
    "token_id": "{token_id}",
    "view_id": "{view_id}",
    "content": b"",
    "example_ids": [1],
    "runs": [1],
    "kind": JobKind.TRAIN,
}
BODIES: dict[type, BaseModel] = {
    ImportParams: ImportParams(source="demo", name="x"),
    api.GroupSetCreate: api.GroupSetCreate(name="x"),
    api.LabelBatch: api.LabelBatch(labels=[api.LabelWrite(key="12345678", example_id=1)]),
    api.ViewCreate: api.ViewCreate(name="x"),
    api.PruneCreate: api.PruneCreate(rule=PruneRule.STAR),
    api.UserCreate: api.UserCreate(name="x", password="0123456789"),
    api.TokenCreate: api.TokenCreate(name="x"),
}


def test_every_route_has_a_method_and_every_method_a_route(shared: House) -> None:
    recorder = Recorder()
    client = Client(http=recorder)
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name.startswith("_") or name in ("close", "wait_for_job"):
            continue
        hints = get_type_hints(method)
        needed = [p for p in inspect.signature(method).parameters.values() if p.default is inspect.Parameter.empty]
        values = {p.name: GIVEN.get(p.name, _made(hints[p.name])) for p in needed}
        with pytest.raises(ServerError, match="404"):
            method(**values)
    schema = shared.http.get("/openapi.json").json()
    routes = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert {(method, PREFIX + re.sub(f"^{PREFIX}", "", path)) for method, path in recorder.asked} == routes


def _made(kind: Any) -> Any:
    if kind in BODIES:
        return BODIES[kind]
    return kind() if inspect.isclass(kind) and issubclass(kind, BaseModel) else 1


def test_waiting_ends_with_the_job(house: House) -> None:
    job = house.client.start_job("digits", JobKind.TRAIN, {"seeds": [9]})
    house.client.cancel_job(job.id)
    seen: list[JobStatus] = []
    found = house.client.wait_for_job(job.id, poll_seconds=0.01, on_change=lambda j: seen.append(j.status))
    assert found.status is JobStatus.CANCELLED and seen == [JobStatus.CANCELLED]
