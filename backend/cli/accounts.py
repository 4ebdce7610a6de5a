"""`unskew user …` and `unskew token …`: people and their keys, for whoever owns the data folder."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.auth import passwords
from backend.cli.context import DataOption, JsonOption, emit, err, opened, table
from backend.services import accounts
from backend.store import accounts as account_store
from backend.store.db import Store
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Role

user = typer.Typer(no_args_is_help=True, help="People who log in. With the first one, everyone has to.")
token = typer.Typer(no_args_is_help=True, help="Keys for programs.")

NameArgument = Annotated[str, typer.Argument(help="The user's name.")]
ProjectOption = Annotated[str | None, typer.Option(help="Only in this project. [default: in every one]")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the password. [default: asked for, or read from a pipe]")
]


def register(app: typer.Typer) -> None:
    app.add_typer(user, name="user")
    app.add_typer(token, name="token")


def _password(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").partition("\n")[0]
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}.", fix="Name a file that can.") from None
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise SettingsError("The two passwords differ.", fix="Type the same twice.")
    return first


def _noted(store: Store, action: str, subject: str) -> None:
    with store.session() as session:
        account_store.record(session, f"{getpass.getuser()} (command line)", action, subject)


@user.command("add")
def add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.VIEWER,
    project: ProjectOption = None,
    password_file: PasswordFile = None,
    sign_on: Annotated[
        bool, typer.Option("--sign-on", help="No password: comes in through single sign-on. NAME is the address.")
    ] = False,
    if_none: Annotated[bool, typer.Option("--if-none", help="Do nothing when there is a user already.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a user; the first must be an admin."""
    with opened(data) as store:
        if if_none and accounts.must_log_in(store):
            err.print("There are users already; nothing was changed.")
            return
        secret = None if sign_on else passwords.checked(_password(password_file))
        made = accounts.add_user(store, api.UserCreate(name=name, password=secret, role=role, project=project))
        _noted(store, "user add", f"{name}: {role.value} in {project or 'every project'}")
        emit(made, as_json, f"Added {name}, {role.value} in {project or 'every project'}.")


@user.command("list")
def list_users(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Every user with their roles."""
    with opened(data) as store:
        found = accounts.list_users(store)
        rows = [
            [
                row.name,
                row.role.value if row.role else "",
                ", ".join(f"{slug}: {role.value}" for slug, role in row.projects.items()),
                "" if row.active else "switched off",
            ]
            for row in found
        ]
        emit(list(found), as_json, table("Users", ["name", "every project", "projects", ""], rows))


@user.command("grant")
def grant(
    name: NameArgument,
    role: Annotated[str, typer.Argument(help="viewer, labeler, editor, admin, or none to take it away.")],
    project: ProjectOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a role in a project or in every one, or take it away."""
    if role not in [*Role, "none"]:
        raise SettingsError(f"There is no role {role!r}.", fix=f"Choose one of {', '.join(Role)}, none.")
    with opened(data) as store:
        wanted = api.RightWrite(project=project, role=None if role == "none" else Role(role))
        made = accounts.grant(store, name, wanted)
        _noted(store, "user grant", f"{name}: {role} in {project or 'every project'}")
        emit(made, as_json, f"{name}: {role} in {project or 'every project'}.")


@user.command("password")
def password(name: NameArgument, password_file: PasswordFile = None, data: DataOption = None) -> None:
    """Set a new password; every login of the user ends."""
    with opened(data) as store:
        secret = passwords.checked(_password(password_file))
        accounts.change_user(store, name, api.UserPatch(password=secret))
        _noted(store, "user password", name)
        err.print(f"{name} has a new password.")


@user.command("off")
def off(name: NameArgument, data: DataOption = None) -> None:
    """Switch a user off: logins end, tokens no longer work, what they did stays."""
    _switch(data, name, active=False)


@user.command("on")
def on(name: NameArgument, data: DataOption = None) -> None:
    """Switch a user on again."""
    _switch(data, name, active=True)


def _switch(data: Path | None, name: str, *, active: bool) -> None:
    with opened(data) as store:
        accounts.change_user(store, name, api.UserPatch(active=active))
        _noted(store, f"user {'on' if active else 'off'}", name)
        err.print(f"{name} is {'on' if active else 'off'}.")


@token.command("add")
def add_token(
    owner: Annotated[str, typer.Argument(help="The user whose rights the token has at most.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    role: Annotated[Role, typer.Option(help="The most that it allows.")] = Role.VIEWER,
    project: ProjectOption = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is good for.")] = 90,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token; its key is printed this once."""
    with opened(data) as store:
        wanted = api.TokenCreate(name=name, role=role, project=project, days=days)
        made = accounts.add_token(store, owner, wanted)
        _noted(store, "token add", f"{made.id} for {owner}: {role.value} in {project or 'every project'}")
        emit(made, as_json, made.key)


@token.command("list")
def list_tokens(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Every token, newest first; keys are not kept."""
    with opened(data) as store:
        found = accounts.list_tokens(store, None)
        rows = [
            [
                str(row.id),
                row.user,
                row.name,
                row.role.value,
                row.project or "",
                "revoked" if row.revoked else f"until {row.expires_at:%Y-%m-%d}",
            ]
            for row in found
        ]
        emit(list(found), as_json, table("Tokens", ["id", "user", "for", "role", "project", ""], rows))


@token.command("revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(help="Its number in `unskew token list`.")], data: DataOption = None
) -> None:
    """Close a token for good."""
    with opened(data) as store:
        accounts.revoke_token(store, token_id)
        _noted(store, "token revoke", str(token_id))
        err.print(f"Token {token_id} is closed.")
