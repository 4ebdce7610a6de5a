"""Every route of the OpenAPI as everybody: what one may not do is refused, and leaves no trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from api_house import ADDRESS, PROJECT, House, problem
from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy import select, text, update
from starlette.testclient import TestClient

from backend.api import app as application
from backend.api.app import PREFIX
from backend.api.rights import COOKIE, needed
from backend.services import accounts
from backend.store import accounts as account_store
from backend.store import tables
from unskew.client import Client
from unskew.errors import LoginError, NotFoundError, RightsError
from unskew.schemas import api
from unskew.schemas.enums import Role

PASSWORD = "correct horse battery"
OTHER = "other"


@dataclass(frozen=True)
class Caller:
    """Somebody: how they show who they are, and what they may do in the project, and outside of it."""

    name: str
    key: str | None
    role: Role | None = None
    everywhere: Role | None = None
    known: bool = True
    cookie: bool = False

    def http(self, house: House) -> TestClient:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key and not self.cookie else {}
        headers |= {"Cookie": f"{COOKIE}={self.key}", "Origin": ADDRESS} if self.cookie else {}
        return TestClient(house.http.app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False)

    def status(self, route: APIRoute) -> int | None:
        """The refusal that is due; None: the request passes."""
        role = needed(route)
        assert role is not None
        if not self.known:
            return 401
        about_project = "{" in route.path and "{user_name}" not in route.path and "{token_id}" not in route.path
        if not about_project:
            return None if role is Role.VIEWER or self.everywhere is Role.ADMIN else 403
        own = max((r for r in (self.role, self.everywhere) if r), key=list(Role).index, default=None)
        return 404 if own is None else None if own.includes(role) else 403


def user(house: House, name: str, role: Role | None, project: str | None) -> str:
    """A user with a login; its key."""
    accounts.add_user(house.store, api.UserCreate(name=name, password=PASSWORD, role=role, project=project))
    with house.store.session() as session:
        return account_store.log_in(session, account_store.user(session, name))


def token(house: House, owner: str, role: Role, project: str | None = None) -> api.TokenMade:
    return accounts.add_token(house.store, owner, api.TokenCreate(name="t", role=role, project=project))


@pytest.fixture
def callers(house: House) -> list[Caller]:
    """From nobody to everybody, the least first."""
    with house.store.session() as session:
        given = {
            "class_names": ["a"],
            "attributes": [],
            "shape": {"kind": "image", "image_size": 8},
            "source": {"root": "/"},
        }
        session.add(tables.Project(slug=OTHER, name="Other", fingerprint="0", **given))
    report = house.client.create_report(PROJECT)
    house.client.create_view(PROJECT, api.ViewCreate(name="class 0", rule=api.ExampleFilter(label=0)))
    boss = user(house, "boss", Role.ADMIN, None)
    keys = {role: user(house, role.value, role, PROJECT) for role in Role}
    stranger = user(house, "stranger", Role.ADMIN, OTHER)
    ended, revoked = token(house, "boss", Role.ADMIN), token(house, "boss", Role.ADMIN)
    gone = user(house, "gone", Role.ADMIN, PROJECT)
    with house.store.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(tables.Token).where(tables.Token.id == ended.id).values(expires_at=past))
    accounts.revoke_token(house.store, revoked.id)
    accounts.change_user(house.store, "gone", api.UserPatch(active=False))
    small = token(house, "boss", Role.VIEWER, PROJECT)
    return [
        Caller("nobody", None, known=False),
        Caller("share token", report.token, known=False),
        Caller("expired token", ended.key, known=False),
        Caller("revoked token", revoked.key, known=False),
        Caller("a user who was switched off", gone, known=False),
        Caller("admin of another project", stranger, cookie=True),
        Caller("an admin's token for viewing here", small.key, Role.VIEWER),
        *[Caller(role.value, keys[role], role, cookie=True) for role in Role],
        Caller("boss", boss, Role.ADMIN, Role.ADMIN, cookie=True),
    ]


def routes(house: House) -> list[APIRoute]:
    """Every route of the API; deletions last, because they leave nothing to ask about."""
    app: Any = house.http.app
    found = [route for module in application.MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    documented = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {(method, PREFIX + route.path) for route in found for method in route.methods or ()} == documented
    return sorted(found, key=lambda route: ("DELETE" in (route.methods or ()), route.path == "/projects/{slug}"))


def numbers(house: House) -> dict[str, str]:
    """A value for every path parameter, of the project."""
    names = {
        "group_set_id": tables.GroupSet,
        "score_set_id": tables.ScoreSet,
        "prune_set_id": tables.PruneSet,
        "report_id": tables.Report,
        "direction_id": tables.Direction,
        "example_id": tables.Example,
        "run_id": tables.Run,
        "attribution_id": tables.Attribution,
        "view_id": tables.SavedView,
        "token_id": tables.Token,
    }
    with house.store.read() as session:
        found = {name: str(session.scalar(select(table.id).limit(1))) for name, table in names.items()}
        job = session.scalar(select(tables.Job.id).where(tables.Job.project_id.is_not(None)).limit(1))
        target = session.scalar(select(tables.Example.id).where(tables.Example.split == "validation").limit(1))
        others = {"slug": PROJECT, "user_name": "viewer", "job_id": str(job), "example_id": str(target)}
        return found | others


def ask(http: TestClient, route: APIRoute, values: dict[str, str]) -> Any:
    path = PREFIX + route.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"say what {path} stands for in `numbers`"
    (method,) = route.methods or {"GET"}
    run, direction, example = values["run_id"], values["direction_id"], values["example_id"]
    asked = {"k": "1", "before_run": run, "after_run": run, "runs": run, "other": direction, "ids": example}
    group = {"group_set": values["group_set_id"], "group": "0", "split": "validation"}
    query = asked | group | {"end": "1"} if method == "GET" else {}
    body = None if method in ("GET", "DELETE") else {"nothing": "that fits"}
    return http.request(method, path, params=query, json=body)


def everything(house: House) -> str:
    """A digest of every row of every table that a refused request must not touch."""
    found = hashlib.sha256()
    with house.store.read() as session:
        names = [row[0] for row in session.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))]
        for name in sorted(set(names) - {"audit", "login"}):
            found.update(repr(session.execute(text(f'SELECT * FROM "{name}"')).all()).encode())
    return found.hexdigest()


def test_no_route_lets_anybody_do_what_they_may_not(house: House, callers: list[Caller]) -> None:
    before, values = everything(house), numbers(house)
    wrong, n = [], 0
    for caller in callers:
        http = caller.http(house)
        for route in routes(house):
            due = caller.status(route)
            if due is None:
                continue
            n += 1
            answer = ask(http, route, values)
            if answer.status_code != due:
                wrong.append((caller.name, route.methods, route.path, due, answer.status_code))
    assert wrong == []
    assert n > 300
    assert everything(house) == before


def test_every_route_lets_those_pass_who_may(house: House, callers: list[Caller]) -> None:
    values = numbers(house)
    wrong = []
    for route in routes(house):
        for caller in callers:
            if caller.status(route) is not None:
                continue
            answer = ask(caller.http(house), route, values)
            reading = route.methods == {"GET"}
            if answer.status_code in (401, 403) or answer.status_code >= 500 or (reading and answer.status_code != 200):
                wrong.append((caller.name, route.methods, route.path, answer.status_code, answer.text[:200]))
            if not reading:
                break  # the weakest who may: a second deletion would find nothing
    assert wrong == []


def test_lists_show_only_what_one_may_see(house: House, callers: list[Caller]) -> None:
    seen = {}
    for caller in callers:
        if caller.known:
            http = caller.http(house)
            seen[caller.name] = [p["slug"] for p in http.get("/api/v1/projects").json()]
            kinds = {job["project"] for job in http.get("/api/v1/jobs").json()}
            assert kinds <= ({PROJECT} if caller.everywhere is None else {PROJECT, None}), caller.name
            assert http.get("/api/v1/jobs", params={"project": PROJECT}).status_code == (
                404 if caller.name == "admin of another project" else 200
            )
    assert seen.pop("admin of another project") == [OTHER]
    assert seen.pop("boss") == [OTHER, PROJECT]
    assert all(slugs == [PROJECT] for slugs in seen.values())


def test_what_is_hidden_and_what_is_not_there_look_the_same(house: House, callers: list[Caller]) -> None:
    stranger = next(caller for caller in callers if caller.name == "admin of another project").http(house)
    values = numbers(house)
    for route in routes(house):
        if "{" not in route.path or "{user_name}" in route.path or "{token_id}" in route.path:
            continue
        hidden = ask(stranger, route, values)
        absent = ask(stranger, route, {name: "987654321" for name in values} | {"run_id": "1"})
        assert hidden.status_code == absent.status_code == 404, route.path
        assert hidden.json() | {"request_id": ""} == absent.json() | {"request_id": ""}, route.path


def test_numbers_of_another_project_in_queries_and_bodies_are_not_found(house: House, callers: list[Caller]) -> None:
    """Somebody with every right in one project names things of another."""
    stranger = next(caller for caller in callers if caller.name == "admin of another project").http(house)
    v = {name: int(value) for name, value in numbers(house).items() if value.isdigit()}
    prefix = f"/api/v1/projects/{OTHER}"
    asked = [
        stranger.get(f"{prefix}/compare", params={"group_set": v["group_set_id"]}),
        stranger.get(f"{prefix}/flips", params={"before_run": v["run_id"], "after_run": v["run_id"]}),
        stranger.get(f"{prefix}/examples/{v['example_id']}"),
        stranger.get(f"{prefix}/examples/{v['example_id']}/thumbnail"),
        stranger.get(f"{prefix}/examples/{v['example_id']}/image"),
        stranger.post(f"{prefix}/group-sets", json={"name": "x", "direction_ids": [v["direction_id"]]}),
    ]
    for kind, params in (
        ("attribute", {"run_ids": [v["run_id"]]}),
        ("discover", {"attribution_id": v["attribution_id"]}),
        ("score", {"group_set_id": v["group_set_id"], "attribution_id": v["attribution_id"]}),
        ("search_k", {"score_set_id": v["score_set_id"]}),
        ("retrain", {"prune_set_id": v["prune_set_id"], "methods": ["trak"]}),
    ):
        asked.append(stranger.post(f"{prefix}/jobs", json={"kind": kind, "params": params}))
    assert [(str(a.url), a.status_code) for a in asked if a.status_code not in (404, 409, 422)] == []


def test_pictures_of_another_project_are_not_among_those_of_a_page(house: House, callers: list[Caller]) -> None:
    """The right in the project of the path does not reach to numbers of another one, not even of a user of both."""
    number = numbers(house)["example_id"]
    for name in ("admin of another project", "boss"):
        http = next(caller for caller in callers if caller.name == name).http(house)
        answer = http.get(f"/api/v1/projects/{OTHER}/examples/thumbnails", params={"ids": number})
        assert (answer.status_code, answer.json()) == (200, {}), name


def test_a_right_that_was_changed_counts_from_the_next_request_on(house: House, callers: list[Caller]) -> None:
    """Nothing is remembered of a caller between requests of one connection."""
    labeler = next(caller for caller in callers if caller.name == "labeler").http(house)
    number = numbers(house)["example_id"]
    reading = f"/api/v1/projects/{PROJECT}/examples/thumbnails?ids={number}"
    naming = f"/api/v1/group-sets/{numbers(house)['group_set_id']}"

    def asked() -> tuple[int, int]:
        return labeler.get(reading).status_code, labeler.patch(naming, json={"name": "renamed"}).status_code

    def given(role: Role | None) -> None:
        accounts.grant(house.store, "labeler", api.RightWrite(project=PROJECT, role=role))

    assert asked() == (200, 403)
    given(Role.EDITOR)
    assert asked() == (200, 200)
    given(Role.VIEWER)
    assert asked() == (200, 403)
    given(None)
    assert asked() == (404, 404)
    given(Role.EDITOR)
    accounts.change_user(house.store, "labeler", api.UserPatch(active=False))
    assert asked() == (401, 401)


def test_a_route_that_declares_no_role_stops_the_application(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten = APIRouter()
    forgotten.add_api_route("/secrets", lambda: "everything")
    module = SimpleNamespace(router=forgotten)
    monkeypatch.setattr(application, "MODULES", (*application.MODULES, module))
    with pytest.raises(AssertionError, match="/secrets"):
        application.create_app(house.store, ui=False)


# ---------------------------------------------------------------- logging in
def login(http: TestClient, name: str, password: str, **fields: str) -> Any:
    data = {"name": name, "password": password} | fields
    return http.post("/login", data=data, headers={"Origin": ADDRESS}, follow_redirects=False)


@pytest.fixture
def open_brake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from backend.api.routes import login as page
    from backend.auth.limits import Brake

    monkeypatch.setattr(page, "_brake", Brake())
    yield


def browser(house: House) -> TestClient:
    return TestClient(house.http.app, base_url=ADDRESS)


@pytest.mark.usefixtures("open_brake")
def test_a_person_logs_in_works_and_logs_out(house: House) -> None:
    user(house, "boss", Role.ADMIN, None)
    http = browser(house)
    problem(http.get("/api/v1/projects"), 401, "log in", "token") if False else problem(
        http.get("/api/v1/projects"), 401
    )
    assert "password" in http.get("/login").text
    assert login(http, "boss", "wrong password").status_code == 401
    entered = login(http, "boss", PASSWORD, next="/discover?project=digits")
    assert (entered.status_code, entered.headers["location"]) == (303, "/discover?project=digits")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert http.get("/api/v1/me").json()["name"] == "boss"
    assert http.post("/logout", headers={"Origin": ADDRESS}, follow_redirects=False).status_code == 303
    http.cookies.set(COOKIE, entered.cookies[COOKIE])
    problem(http.get("/api/v1/me"), 401)  # the key itself is worth nothing any more


@pytest.mark.usefixtures("open_brake")
def test_guessing_passwords_is_slowed_down(house: House) -> None:
    user(house, "boss", Role.ADMIN, None)
    http = browser(house)
    answers = [login(http, "boss", f"wrong {n}").status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2
    assert login(http, "boss", PASSWORD).status_code == 429  # and says so to its owner too
    assert int(login(http, "boss", PASSWORD).headers["retry-after"]) <= 300


def test_the_brake_forgets() -> None:
    from backend.auth.limits import FAILURES, SECONDS, Brake, TooManyError

    time = 0.0
    brake = Brake(lambda: time)
    for _ in range(FAILURES):
        brake.check("a")
        brake.failed("a")
    with pytest.raises(TooManyError):
        brake.check("b", "a")
    brake.check("b")
    time = SECONDS
    brake.check("a")


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
@pytest.mark.usefixtures("open_brake")
def test_a_login_leads_to_no_other_site(house: House, next: str) -> None:
    user(house, "boss", Role.ADMIN, None)
    assert login(browser(house), "boss", PASSWORD, next=next).headers["location"] == "/"


def test_a_change_with_a_cookie_says_where_it_comes_from(house: House) -> None:
    http = browser(house)
    http.cookies.set(COOKIE, user(house, "boss", Role.ADMIN, None))
    url = "/api/v1/jobs/x/cancel"
    problem(http.post(url), 403, "Origin")
    problem(http.post(url, headers={"Origin": "https://evil.example"}), 403)
    problem(http.post(url, headers={"Origin": ADDRESS}), 404)
    assert http.get("/api/v1/projects").status_code == 200


def test_a_new_password_ends_every_login_and_users_keep_an_admin(house: House) -> None:
    key = user(house, "boss", Role.ADMIN, None)
    boss = Client(http=Caller("boss", key).http(house))
    boss.add_user(api.UserCreate(name="ann", password=PASSWORD))
    with pytest.raises(Exception, match="no admin"):
        boss.change_user("boss", api.UserPatch(active=False))
    with pytest.raises(Exception, match="no admin"):
        boss.grant("boss", api.RightWrite(role=Role.EDITOR))
    boss.change_user("boss", api.UserPatch(password="another password"))
    with pytest.raises(LoginError):
        boss.me()


def test_a_token_allows_no_more_than_its_owner(house: House) -> None:
    user(house, "boss", Role.ADMIN, None)
    user(house, "ann", Role.VIEWER, PROJECT)
    key = token(house, "ann", Role.ADMIN).key
    client = Client(http=Caller("ann", key).http(house))
    assert client.project(PROJECT).slug == PROJECT
    with pytest.raises(RightsError, match="needs the role editor; ann is viewer"):
        client.create_report(PROJECT)
    with pytest.raises(Exception, match="cannot make tokens"):
        client.add_token(api.TokenCreate(name="again"))
    accounts.grant(house.store, "ann", api.RightWrite(project=PROJECT, role=None))
    with pytest.raises(NotFoundError):
        client.project(PROJECT)


def test_a_labeler_labels_under_the_own_name(house: House) -> None:
    user(house, "boss", Role.ADMIN, None)
    http = Caller("lab", user(house, "lab", Role.LABELER, PROJECT)).http(house)
    group_set = next(row for row in Client(http=http).group_sets(PROJECT) if row.name == "border")
    example = Client(http=http).label_queue(group_set.id, limit=1).items[0].example.id
    write = api.LabelWrite(key="12345678", example_id=example, group=0)
    Client(http=http).write_labels(group_set.id, api.LabelBatch(labels=[write], annotator="somebody else"))
    with house.store.read() as session:
        assert session.scalars(select(tables.LabelEvent.annotator)).all() == ["lab"]


def test_the_audit_log_says_who_changed_what(house: House) -> None:
    key = user(house, "boss", Role.ADMIN, None)
    boss = Client(http=Caller("boss", key).http(house))
    report = boss.create_report(PROJECT)
    boss.revoke_report(report.id)
    with pytest.raises(NotFoundError):
        boss.cancel_job("none")
    found = [(line.who, line.action, line.subject, line.project, line.status) for line in boss.audit(limit=3)]
    assert found == [
        ("boss", "POST /jobs/{job_id}/cancel", "job_id none", None, 404),
        ("boss", "POST /reports/{report_id}/revoke", f"report_id {report.id}", PROJECT, 200),
        ("boss", "POST /projects/{slug}/reports", f"slug {PROJECT}", PROJECT, 201),
    ]


def test_secrets_are_not_in_the_database(house: House) -> None:
    key = user(house, "boss", Role.ADMIN, None)
    made = token(house, "boss", Role.ADMIN)
    content = b"".join(path.read_bytes() for path in house.store.data.glob("unskew.db*"))
    assert not [secret for secret in (key, made.key, PASSWORD) if secret.encode() in content]
    assert b"$argon2id$" in content


def test_the_first_user_is_an_admin(empty: House) -> None:
    with pytest.raises(Exception, match="first user must be an admin"):
        empty.client.add_user(api.UserCreate(name="ann", password=PASSWORD, role=Role.VIEWER))
    assert empty.client.me().role is Role.ADMIN
    empty.client.add_user(api.UserCreate(name="ann", password=PASSWORD, role=Role.ADMIN))
    with pytest.raises(LoginError):
        empty.client.projects()


def test_a_server_that_others_reach_is_closed_without_users(empty: House) -> None:
    http = TestClient(application.create_app(empty.store, ui=False, hosts=None, local=False), base_url=ADDRESS)
    problem(http.get("/api/v1/projects"), 401)
