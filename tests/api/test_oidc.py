"""Single sign-on against a small OpenID provider that runs here: who is let in, and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import uvicorn
from api_house import ADDRESS, PROJECT, House
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from test_rights import user

from backend.api.app import create_app
from backend.api.rights import COOKIE
from backend.auth import oidc
from backend.services import accounts
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Role

CLIENT, SECRET = "unskew", "of-the-client"
KEY = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
FORGED = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})


@dataclass
class Idp:
    """Authorisation code flow with PKCE; `person` is logged in there, and `lies` is what it says wrongly."""

    url: str
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", lambda _: JSONResponse({"keys": [KEY.as_dict(private=False)]})),
            ]
        )

    def configuration(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and "openid" in asked["scope"]
        assert asked["code_challenge_method"] == "S256" and asked["nonce"] and asked["state"]
        code = secrets.token_hex(8)
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.codes.pop(str(form["code"]), None)
        login = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        proof = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).decode().rstrip("=")
        if asked is None or login != f"{CLIENT}:{SECRET}" or challenge != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims | self.person | self.lies, self.key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": signed})


@pytest.fixture
def idp() -> Iterator[Idp]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    provider = Idp(f"http://127.0.0.1:{port}", {"sub": "7", "email": "Ann@example.org", "email_verified": True})
    server = uvicorn.Server(uvicorn.Config(provider.app(), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield provider
    server.should_exit = True
    thread.join(10)


def site(house: House, idp: Idp, role: Role | None = None) -> TestClient:
    provider = oidc.Provider(idp.url, CLIENT, SECRET, title="Log in with Example", role=role)
    return TestClient(create_app(house.store, ui=False, provider=provider), base_url=ADDRESS, follow_redirects=False)


def came_back(http: TestClient, next: str = "/") -> Any:
    """A browser's way: to the provider, and with its answer back to us."""
    sent = http.get("/login/oidc", params={"next": next})
    assert sent.status_code == 302 and sent.cookies["unskew_oidc"]
    returned = httpx.get(sent.headers["location"], trust_env=False)
    assert returned.headers["location"].startswith(f"{ADDRESS}/login/oidc/back?")
    return http.get(returned.headers["location"].removeprefix(ADDRESS))


@pytest.fixture
def ann(house: House) -> House:
    user(house, "boss", Role.ADMIN, None)
    accounts.add_user(house.store, api.UserCreate(name="ann@example.org", role=Role.LABELER, project=PROJECT))
    return house


def test_who_was_added_under_the_address_comes_in_and_is_known_by_the_subject(ann: House, idp: Idp) -> None:
    http = site(ann, idp)
    assert "Log in with Example" in http.get("/login?next=/discover").text
    entered = came_back(http, next="/discover?project=digits")
    assert (entered.status_code, entered.headers["location"]) == (303, "/discover?project=digits")
    assert "httponly" in entered.headers["set-cookie"].lower()
    me = http.get("/api/v1/me").json()
    assert (me["name"], me["role"], me["projects"], me["login"]) == (
        "ann@example.org",
        None,
        {PROJECT: "labeler"},
        True,
    )
    idp.person["email"] = "married@example.org"
    other = site(ann, idp)
    assert came_back(other).status_code == 303 and other.get("/api/v1/me").json()["name"] == "ann@example.org"
    idp.person |= {"sub": "8", "email": "ann@example.org"}  # the address was given to somebody else
    assert came_back(site(ann, idp)).status_code == 401
    assert [line.action for line in accounts.audit(ann.store, limit=3)] == ["log in"] * 3


def test_a_user_of_single_sign_on_has_no_password(ann: House, idp: Idp) -> None:
    for password in ("", "None", "x" * 12):
        sent = {"name": "ann@example.org", "password": password}
        assert site(ann, idp).post("/login", data=sent, headers={"Origin": ADDRESS}).status_code in (401, 422)


def test_strangers_are_refused_unless_a_role_is_set_for_them(ann: House, idp: Idp) -> None:
    idp.person |= {"sub": "9", "email": "eve@example.org"}
    refused = came_back(site(ann, idp))
    assert refused.status_code == 401 and "eve@example.org has no access here" in refused.text
    assert COOKIE not in refused.cookies
    http = site(ann, idp, role=Role.VIEWER)
    assert came_back(http).status_code == 303
    assert http.get("/api/v1/me").json()["role"] == "viewer"


def test_who_was_switched_off_stays_out(ann: House, idp: Idp) -> None:
    assert came_back(site(ann, idp)).status_code == 303
    accounts.change_user(ann.store, "ann@example.org", api.UserPatch(active=False))
    assert came_back(site(ann, idp, role=Role.ADMIN)).status_code == 401


@pytest.mark.parametrize(
    "lies",
    [
        {"email_verified": False},
        {"iss": "https://evil.example"},
        {"aud": "another client"},
        {"aud": "another client", "azp": CLIENT},
        {"nonce": "another login"},
        {"exp": 1_000_000_000},
        {"sub": ""},
        {"key": FORGED},
    ],
    ids=lambda lies: next(iter(lies)),
)
def test_what_does_not_hold_is_not_believed(ann: House, idp: Idp, lies: dict[str, Any]) -> None:
    idp.key, idp.lies = lies.get("key", KEY), {name: value for name, value in lies.items() if name != "key"}
    answer = came_back(site(ann, idp))
    assert answer.status_code == 401 and COOKIE not in answer.cookies
    assert 'role="alert"' in answer.text


def test_an_answer_that_nobody_here_asked_for_is_refused(ann: House, idp: Idp) -> None:
    """Somebody else's code and state, as in a link that logs a victim in as the attacker."""
    sent = site(ann, idp).get("/login/oidc")
    returned = httpx.get(sent.headers["location"], trust_env=False).headers["location"].removeprefix(ADDRESS)
    assert site(ann, idp).get(returned).status_code == 401
    asked = parse_qs(urlsplit(returned).query)
    assert site(ann, idp).get("/login/oidc/back", params={"code": asked["code"][0], "state": ""}).status_code == 401
    assert site(ann, idp).get("/login/oidc/back", params={"error": "access_denied"}).status_code == 401


def test_a_provider_that_does_not_answer_is_said(ann: House, idp: Idp) -> None:
    idp.url = "http://127.0.0.1:9"
    answer = site(ann, idp).get("/login/oidc")
    assert answer.status_code == 503 and "cannot be reached" in answer.text


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example"])
def test_it_leads_to_no_other_site(ann: House, idp: Idp, next: str) -> None:
    assert came_back(site(ann, idp), next=next).headers["location"] == "/"


GIVEN = {"ISSUER": "https://id.example.org", "CLIENT_ID": "unskew", "CLIENT_SECRET": "s"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"CLIENT_ID": ""}, "UNSKEW_OIDC_CLIENT_ID"),
        ({"ISSUER": "http://id.example.org"}, "https"),
        ({"ROLE": "king"}, "no role"),
    ],
)
def test_settings_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch, change: dict[str, str], word: str) -> None:
    assert oidc.from_environment() is None
    for name, value in (GIVEN | change).items():
        monkeypatch.setenv(f"UNSKEW_OIDC_{name}", value)
    with pytest.raises(SettingsError, match=word):
        oidc.from_environment()
    for name, value in (GIVEN | {"ROLE": "viewer"}).items():
        monkeypatch.setenv(f"UNSKEW_OIDC_{name}", value)
    found = oidc.from_environment()
    assert found is not None and found.role is Role.VIEWER
