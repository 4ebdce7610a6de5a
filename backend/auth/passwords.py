"""Passwords and keys: argon2id for what people choose, sha256 for what we draw at random."""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from unskew.errors import SettingsError

SHORTEST = 10
LONGEST = 1024  # hashing takes time with length: nobody needs more
_HASHER = PasswordHasher()  # argon2id with the library's parameters (RFC 9106, low memory)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))


def checked(password: str) -> str:
    """The password, if it can be one.

    Raises:
        SettingsError: too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(
            f"A password has from {SHORTEST} to {LONGEST} characters.", fix="A few random words do well."
        )
    return password


def hashed(password: str) -> str:
    """An argon2id hash with its own salt and parameters; `checked` says what is refused."""
    return _HASHER.hash(checked(password))


def fits(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one. Takes as long where there is none, so that time tells no names."""
    try:
        return _HASHER.verify(stored or _NOBODY, password[:LONGEST]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def key(prefix: str) -> str:
    """A new key with 256 random bits; the prefix lets people and secret scanners recognise it."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """What is stored of a key. It is random, so that a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()
