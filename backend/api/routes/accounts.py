"""Who asks, users, rights, tokens, and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Limit, StoreDep
from backend.api.rights import ADMIN, VIEWER, Who
from backend.services import accounts
from unskew.schemas import api

router = APIRouter(tags=["people"])


@router.get("/me", dependencies=[VIEWER])
def me(store: StoreDep, who: Who) -> api.Me:
    """Who asks, and what they may do."""
    return accounts.me(store, who)


@router.get("/users", dependencies=[ADMIN])
def list_users(store: StoreDep) -> list[api.User]:
    """Every user with their roles."""
    return accounts.list_users(store)


@router.post("/users", status_code=201, dependencies=[ADMIN])
def add_user(store: StoreDep, wanted: api.UserCreate) -> api.User:
    """Add a user. With the first one, which must be an admin, everyone has to log in."""
    return accounts.add_user(store, wanted)


@router.patch("/users/{user_name}", dependencies=[ADMIN])
def change_user(store: StoreDep, user_name: str, patch: api.UserPatch) -> api.User:
    """Set a new password, or switch a user off and on."""
    return accounts.change_user(store, user_name, patch)


@router.post("/users/{user_name}/rights", dependencies=[ADMIN])
def grant(store: StoreDep, user_name: str, wanted: api.RightWrite) -> api.User:
    """Give a role in a project or in every one, or take it away."""
    return accounts.grant(store, user_name, wanted)


@router.get("/tokens", dependencies=[VIEWER])
def list_tokens(store: StoreDep, who: Who) -> list[api.Token]:
    """One's own tokens; an admin sees all."""
    return accounts.list_tokens(store, who)


@router.post("/tokens", status_code=201, dependencies=[VIEWER])
def add_token(store: StoreDep, who: Who, wanted: api.TokenCreate) -> api.TokenMade:
    """A key for a program of one's own, shown this once."""
    return accounts.add_own_token(store, who, wanted)


@router.post("/tokens/{token_id}/revoke", status_code=204, dependencies=[VIEWER])
def revoke_token(store: StoreDep, who: Who, token_id: int) -> None:
    """Close a token for good."""
    accounts.revoke_token(store, token_id, who)


@router.get("/audit", dependencies=[ADMIN])
def audit(
    store: StoreDep,
    project: str | None = None,
    before: Annotated[int | None, Query(description="only lines older than this number")] = None,
    limit: Limit = 100,
) -> list[api.AuditLine]:
    """Who changed what, newest first. Labels have a log of their own: the export names each one's annotator."""
    return accounts.audit(store, project=project, before=before, limit=limit)
