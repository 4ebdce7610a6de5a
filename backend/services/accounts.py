"""People: logging in, users and their rights, tokens, and who changed what."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.auth import passwords
from backend.auth.identity import Identity
from backend.auth.limits import Brake
from backend.auth.oidc import Person
from backend.store import accounts, projects, tables
from backend.store.db import Store
from unskew.errors import ConflictError, LoginError, NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Role


def must_log_in(store: Store) -> bool:
    """Whether there is a user: from then on nobody gets in without a login."""
    with store.read() as session:
        return accounts.any_user(session)


def log_in(store: Store, name: str, password: str, address: str, brake: Brake) -> str:
    """The key of a new login.

    Raises:
        LoginError: name and password do not fit (which of them, is not said). TooManyError: see `Brake`.
    """
    keys = (f"name {name[:64]}", f"address {address}")
    brake.check(*keys)
    with store.read() as session:
        try:
            row: tables.User | None = accounts.user(session, name)
        except NotFoundError:
            row = None
    if not passwords.fits(row.password if row else None, password) or row is None or not row.active:
        brake.failed(*keys)
        with store.session() as session:
            accounts.record(session, name, "log in", address, status=401)
        raise LoginError("Name and password do not fit.", fix="Ask an admin for a new password if you forgot it.")
    brake.succeeded(*keys)
    with store.session() as session:
        accounts.record(session, name, "log in", address, status=200)
        return accounts.log_in(session, row)


def log_in_person(store: Store, who: Person, *, new: Role | None) -> str:
    """The key of a new login of somebody whom the OpenID provider vouches for.

    Who came before is known by the subject. Who comes first is the user that was added under the verified address; if
    there is none, a new one with the role `new` in every project.

    Raises:
        LoginError: nobody has added this person, or the user is switched off.
    """
    with store.session() as session:
        row = accounts.user_of(session, who.subject) or _added(session, who)
        if row is None and new is not None and who.email is not None:
            row = accounts.add_user(session, who.email, None, subject=who.subject)
            accounts.grant(session, row.id, None, new)
        if row is not None and row.active:
            accounts.record(session, row.name, "log in", "OpenID", status=200)
            return accounts.log_in(session, row)
        accounts.record(session, who.email or who.subject[:64], "log in", "OpenID", status=401)
    shown = who.email or "A person without a verified address"
    raise LoginError(f"{shown} has no access here.", fix="Ask an admin to add you under your e-mail address.")


def _added(session: Session, who: Person) -> tables.User | None:
    """The user that an admin added under this address; from now on known by the subject, and by no other."""
    try:
        row = accounts.user(session, who.email or "")
    except NotFoundError:
        return None
    if row.subject is not None:
        return None
    row.subject = who.subject
    return row


def log_out(store: Store, key: str) -> None:
    with store.session() as session:
        accounts.log_out(session, key)


def me(store: Store, who: Identity) -> api.Me:
    with store.read() as session:
        named = _named(session, dict(who.rights))
    role = who.rights.get(None)
    return api.Me(name=who.name, role=role, projects=named, login=who.login, admin_page=role is Role.ADMIN)


# ---------------------------------------------------------------- users
def list_users(store: Store) -> list[api.User]:
    with store.read() as session:
        return [_user(session, row) for row in accounts.list_users(session)]


def add_user(store: Store, wanted: api.UserCreate) -> api.User:
    """A new user. The first must be an admin: with it, everyone has to log in.

    Raises:
        ConflictError: the name is taken, or the first user would be no admin.
    """
    with store.session() as session:
        if not accounts.any_user(session) and not (wanted.role is Role.ADMIN and wanted.project is None):
            raise ConflictError(
                "The first user must be an admin, or nobody could add the others.", fix="Add an admin first."
            )
        row = accounts.add_user(session, wanted.name, wanted.password)
        if wanted.role is not None:
            accounts.grant(session, row.id, _project_id(session, wanted.project), wanted.role)
        return _user(session, row)


def change_user(store: Store, name: str, patch: api.UserPatch) -> api.User:
    with store.session() as session:
        row = accounts.user(session, name)
        if patch.password is not None:
            row.password = passwords.hashed(patch.password)
        if patch.active is not None:
            row.active = patch.active
        accounts.end_logins(session, row.id)
        _keep_an_admin(session)
        return _user(session, row)


def grant(store: Store, name: str, wanted: api.RightWrite) -> api.User:
    """Give a role, or take it away."""
    with store.session() as session:
        row = accounts.user(session, name)
        accounts.grant(session, row.id, _project_id(session, wanted.project), wanted.role)
        _keep_an_admin(session)
        return _user(session, row)


def _keep_an_admin(session: Session) -> None:
    session.flush()
    if accounts.n_admins(session) == 0:
        raise ConflictError("That would leave no admin.", fix="Make somebody else an admin first.")


def _project_id(session: Session, slug: str | None) -> int | None:
    return None if slug is None else projects.get(session, slug).id


def _named(session: Session, rights: dict[int | None, Role]) -> dict[str, Role]:
    found = {projects.slug_of(session, number): role for number, role in rights.items() if number is not None}
    return {slug: role for slug, role in found.items() if slug is not None}


def _user(session: Session, row: tables.User) -> api.User:
    rights = accounts.rights(session, row.id)
    return api.User(
        name=row.name,
        active=row.active,
        role=rights.get(None),
        projects=_named(session, rights),
        created_at=row.created_at,
    )


# ---------------------------------------------------------------- tokens
def list_tokens(store: Store, who: Identity | None) -> list[api.Token]:
    """One's own; an admin (or the command line, None) sees all."""
    everyone = who is None or who.role() is Role.ADMIN
    with store.read() as session:
        found = accounts.list_tokens(session, None if everyone or who is None else who.user_id)
        return [api.Token(**_token(row, name, slug)) for row, name, slug in found]


def add_token(store: Store, owner: str, wanted: api.TokenCreate) -> api.TokenMade:
    """A key for a program; it never allows more than its owner may at that time."""
    with store.session() as session:
        row, key = accounts.add_token(
            session,
            accounts.user(session, owner),
            wanted.name,
            wanted.role,
            _project_id(session, wanted.project),
            wanted.days,
        )
        return api.TokenMade(key=key, **_token(row, owner, wanted.project))


def add_own_token(store: Store, who: Identity, wanted: api.TokenCreate) -> api.TokenMade:
    """One for whoever asks, in a browser: a token may not make another that outlives it."""
    if who.user_id is None:
        raise SettingsError("Without users nobody needs a token.", fix="Add a user: `unskew user add NAME`.")
    if not who.login:
        raise ConflictError("A token cannot make tokens.", fix="Log in with a browser, or use `unskew token add`.")
    if wanted.project is not None:
        with store.read() as session:
            who.require(Role.VIEWER, _project_id(session, wanted.project))
    return add_token(store, who.name, wanted)


def revoke_token(store: Store, token_id: int, who: Identity | None = None) -> None:
    """Close it for good; one's own, or as admin (or from the command line) any."""
    with store.session() as session:
        row = session.get(tables.Token, token_id)
        if row is None or not (who is None or who.role() is Role.ADMIN or row.user_id == who.user_id):
            raise NotFoundError(f"There is no token {token_id}.")
        accounts.revoke_token(session, token_id)


def _token(row: tables.Token, owner: str, slug: str | None) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "user": owner,
        "role": Role(row.role),
        "project": slug,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked": row.revoked_at is not None,
    }


# ---------------------------------------------------------------- who changed what
def audit(
    store: Store, *, project: str | None = None, before: int | None = None, limit: int = 100
) -> list[api.AuditLine]:
    """Newest first."""
    with store.read() as session:
        return [
            api.AuditLine(
                id=row.id,
                at=row.at,
                who=row.who,
                action=row.action,
                subject=row.subject,
                project=row.project,
                status=row.status,
            )
            for row in accounts.audit(session, project=project, before=before, limit=limit)
        ]
