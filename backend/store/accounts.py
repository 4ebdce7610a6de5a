"""Users, their rights, logins and tokens, and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from backend.auth import passwords
from backend.auth.identity import Identity
from backend.store import tables
from unskew.errors import ConflictError, NotFoundError
from unskew.schemas.enums import Role

LOGIN_DAYS = 7
LOGIN, TOKEN = "unskew_login", "unskew_token"  # prefixes of keys


def any_user(session: Session) -> bool:
    """Whether people must log in."""
    return session.scalar(select(tables.User.id).limit(1)) is not None


def user(session: Session, name: str) -> tables.User:
    row = session.scalar(select(tables.User).where(tables.User.name == name))
    if row is None:
        raise NotFoundError(f"There is no user {name!r}.", fix="`unskew user list` names them.")
    return row


def user_of(session: Session, subject: str) -> tables.User | None:
    """Whom an OpenID provider means by this issuer and subject."""
    return session.scalar(select(tables.User).where(tables.User.subject == subject))


def list_users(session: Session) -> list[tables.User]:
    return list(session.scalars(select(tables.User).order_by(tables.User.name)))


def add_user(session: Session, name: str, password: str | None, *, subject: str | None = None) -> tables.User:
    if session.scalar(select(tables.User.id).where(tables.User.name == name)) is not None:
        raise ConflictError(f"There is a user {name!r} already.", fix="Choose another name.")
    row = tables.User(name=name, password=None if password is None else passwords.hashed(password), subject=subject)
    session.add(row)
    session.flush()
    return row


def rights(session: Session, user_id: int) -> dict[int | None, Role]:
    """Role by project number; None: in every project."""
    found = session.scalars(select(tables.Right).where(tables.Right.user_id == user_id))
    return {row.project_id: Role(row.role) for row in found}


def grant(session: Session, user_id: int, project_id: int | None, role: Role | None) -> None:
    """Give a role in a project (None: everywhere) in place of the one before; None takes it away."""
    right = tables.Right
    where = right.project_id.is_(None) if project_id is None else right.project_id == project_id
    session.execute(delete(right).where(right.user_id == user_id, where))
    if role is not None:
        session.add(right(user_id=user_id, project_id=project_id, role=role))
    session.flush()


def n_admins(session: Session) -> int:
    """Active users that may do everything and can log in."""
    query = select(func.count(func.distinct(tables.User.id))).join(tables.Right)
    return (
        session.scalar(
            query.where(
                tables.User.active.is_(True), tables.Right.project_id.is_(None), tables.Right.role == Role.ADMIN
            )
        )
        or 0
    )


# ---------------------------------------------------------------- logins and tokens
def log_in(session: Session, row: tables.User) -> str:
    """A new login; its key is told once, here."""
    session.execute(delete(tables.Login).where(tables.Login.expires_at < _now()))
    key = passwords.key(LOGIN)
    ends = _now() + timedelta(days=LOGIN_DAYS)
    session.add(tables.Login(digest=passwords.digest(key), user_id=row.id, expires_at=ends))
    return key


def log_out(session: Session, key: str) -> None:
    session.execute(delete(tables.Login).where(tables.Login.digest == passwords.digest(key)))


def end_logins(session: Session, user_id: int) -> None:
    """Close every browser of a user: the password changed, or the user left."""
    session.execute(delete(tables.Login).where(tables.Login.user_id == user_id))


def add_token(
    session: Session, owner: tables.User, name: str, role: Role, project_id: int | None, days: int
) -> tuple[tables.Token, str]:
    """A new token and its key, which is told once, here."""
    key = passwords.key(TOKEN)
    ends = _now() + timedelta(days=days)
    row = tables.Token(
        user_id=owner.id, name=name, digest=passwords.digest(key), role=role, project_id=project_id, expires_at=ends
    )
    session.add(row)
    session.flush()
    return row, key


def list_tokens(session: Session, user_id: int | None = None) -> list[tuple[tables.Token, str, str | None]]:
    """(token, its owner's name, its project's slug), newest first; of one user or of all."""
    query = (
        select(tables.Token, tables.User.name, tables.Project.slug)
        .join(tables.User, tables.User.id == tables.Token.user_id)
        .outerjoin(tables.Project, tables.Project.id == tables.Token.project_id)
        .order_by(tables.Token.id.desc())
    )
    if user_id is not None:
        query = query.where(tables.Token.user_id == user_id)
    return [(row, name, slug) for row, name, slug in session.execute(query)]


def revoke_token(session: Session, token_id: int) -> None:
    token = tables.Token
    session.execute(update(token).where(token.id == token_id, token.revoked_at.is_(None)).values(revoked_at=_now()))


def identify(session: Session, key: str) -> Identity | None:
    """Whose login or token this is; None when it is none, has ended, or its owner was switched off."""
    if not key.startswith((LOGIN, TOKEN)):
        return None
    login = key.startswith(LOGIN)
    found = session.execute(_BY_LOGIN if login else _BY_TOKEN, {"digest": passwords.digest(key)}).all()
    if not found:
        return None
    user_id, name, active, _, _, expires_at, *token = found[0]
    if not active or expires_at <= _now() or (token and token[0] is not None):
        return None
    rights = {project_id: Role(role) for _, _, _, project_id, role, *_ in found if role is not None}
    who = Identity(name, rights, user_id, login)
    return who.limited(Role(token[1]), token[2]) if token else who


def _by_key(kind: Any, *columns: Any) -> Select[Any]:
    """A user with each right, by the digest of a key. Built once: every request asks."""
    user, right = tables.User, tables.Right
    return (
        select(user.id, user.name, user.active, right.project_id, right.role, kind.expires_at, *columns)
        .join_from(kind, user, user.id == kind.user_id)
        .outerjoin(right, right.user_id == user.id)
        .where(kind.digest == bindparam("digest"))
    )


_BY_LOGIN = _by_key(tables.Login)
_BY_TOKEN = _by_key(tables.Token, tables.Token.revoked_at, tables.Token.role, tables.Token.project_id)


def _now() -> datetime:
    return datetime.now(UTC)


# ---------------------------------------------------------------- who changed what
def record(
    session: Session, who: str, action: str, subject: str = "", *, project: str | None = None, status: int = 0
) -> None:
    """One line of the audit log."""
    session.add(tables.Audit(who=who[:100], action=action[:100], subject=subject[:200], project=project, status=status))


def audit(session: Session, *, project: str | None = None, before: int | None = None, limit: int) -> list[tables.Audit]:
    """Newest first; `before`: only lines older than this number."""
    query = select(tables.Audit).order_by(tables.Audit.id.desc()).limit(limit)
    if project is not None:
        query = query.where(tables.Audit.project == project)
    if before is not None:
        query = query.where(tables.Audit.id < before)
    return list(session.scalars(query))
