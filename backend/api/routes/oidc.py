"""Coming in through an OpenID provider: to its login page, and back with what it vouches for.

Authlib keeps state, nonce and PKCE verifier in a short-lived signed cookie, and checks the ID token.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from anyio import to_thread
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.sessions import SessionMiddleware

from backend.api.deps import StoreDep
from backend.api.routes.login import entered, inside, refused
from backend.auth.oidc import Provider, person
from backend.services import accounts
from unskew.errors import LoginError, ServerError

log = logging.getLogger("unskew.api")
MINUTES = 10  # to type one's password at the provider
LEEWAY_SECONDS = 30


def install(app: FastAPI, provider: Provider) -> None:
    """Offer this provider beside the passwords."""
    oauth = OAuth()
    client = oauth.register(
        "provider",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=provider.discovery,
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "timeout": 10},
    )
    router = APIRouter(include_in_schema=False)

    @router.get("/login/oidc")
    async def to_provider(request: Request, next: str = "/") -> Response:
        request.session["next"] = inside(next)
        try:
            answer: Response = await client.authorize_redirect(request, request.url_for("from_provider"))
        except Exception as error:  # whichever HTTP library Authlib found has errors of its own
            log.warning("the OpenID provider %s cannot be used: %r", provider.issuer, error)
            return refused(request, ServerError(f"{provider.title} cannot be reached.", fix="Try again."), status=503)
        return answer

    @router.get("/login/oidc/back")
    async def from_provider(request: Request, store: StoreDep) -> Response:
        next = inside(request.session.pop("next", "/"))
        try:
            claims = await _claims(client, provider, request)
            who = person(claims)
            key = await to_thread.run_sync(lambda: accounts.log_in_person(store, who, new=provider.role))
        except LoginError as error:
            return refused(request, error)
        except Exception as error:  # a claim that does not hold, a forged key, a provider that is down: all the same
            log.warning("a login through %s failed: %r", provider.issuer, error)
            return refused(request, LoginError("The provider's answer does not hold.", fix="Log in once more."))
        return entered(request, key, next)

    app.include_router(router)
    app.state.sign_on = provider.title
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_hex(32),  # a login that is under way at a restart begins again
        session_cookie="unskew_oidc",
        path="/login",
        max_age=60 * MINUTES,
        same_site="lax",
    )


async def _claims(client: Any, provider: Provider, request: Request) -> dict[str, Any]:
    """Of an ID token that is signed by the provider, for us, now, and for this very login."""
    due = {"iss": provider.issuer, "aud": provider.client_id}
    options = {name: {"essential": True, "value": value} for name, value in due.items()}
    token = await client.authorize_access_token(request, leeway=LEEWAY_SECONDS, claims_options=options)
    found = token.get("userinfo")
    if not found:
        raise ValueError("there is no ID token in it")
    return dict(found)
