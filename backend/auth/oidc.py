"""Single sign-on: which OpenID provider people come from, as the environment says. The protocol is Authlib's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from unskew.errors import LoginError, SettingsError
from unskew.schemas.enums import Role

_PREFIX = "UNSKEW_OIDC_"


@dataclass(frozen=True)
class Provider:
    """An OpenID provider.

    Args:
        issuer: its address; `/.well-known/openid-configuration` below it says the rest.
        title: what the button on the login page says.
        role: of people that nobody has added; None: they are not let in.
    """

    issuer: str
    client_id: str
    client_secret: str
    title: str = "Single sign-on"
    role: Role | None = None

    @property
    def discovery(self) -> str:
        return self.issuer.rstrip("/") + "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Person:
    """Somebody whom the provider vouches for."""

    subject: str  # issuer and the provider's own number: stays when name and address change
    email: str | None  # only an address that the provider has verified


def from_environment() -> Provider | None:
    """UNSKEW_OIDC_ISSUER, _CLIENT_ID, _CLIENT_SECRET, and if wanted _TITLE and _ROLE; None without an issuer.

    Raises:
        SettingsError: one is missing or impossible, or Authlib is not installed.
    """
    given = {name: os.environ.get(_PREFIX + name.upper(), "") for name in ("issuer", "client_id", "client_secret")}
    if not given["issuer"]:
        return None
    missing = [_PREFIX + name.upper() for name, value in given.items() if not value]
    if missing:
        raise SettingsError(f"Single sign-on lacks {' and '.join(missing)}.", fix="Set it, or no UNSKEW_OIDC_ISSUER.")
    address = urlsplit(given["issuer"])
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
        raise SettingsError(f"The issuer {given['issuer']!r} is not reached by https.", fix="Name it with https://.")
    role = os.environ.get(_PREFIX + "ROLE", "")
    if role and role not in list(Role):
        raise SettingsError(f"{_PREFIX}ROLE={role!r} is no role.", fix=f"One of {', '.join(Role)}, or none.")
    if find_spec("authlib") is None:
        raise SettingsError("Single sign-on needs Authlib.", fix="pip install 'unskew[oidc]'")
    title = os.environ.get(_PREFIX + "TITLE", "Single sign-on")
    return Provider(**given, title=title, role=Role(role) if role else None)


def person(claims: Mapping[str, Any]) -> Person:
    """Out of the claims of an ID token whose signature, issuer, audience, nonce and time were checked.

    Raises:
        LoginError: it does not say who it is about.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not issuer or not subject:
        raise LoginError("The provider did not say who you are.", fix="Ask an admin.")
    email = str(claims.get("email") or "").lower()
    verified = claims.get("email_verified") in (True, "true")
    return Person(f"{issuer} {subject}"[:300], email if email and verified else None)
