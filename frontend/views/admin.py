"""Admin: who may come in, what they may do, keys for programs, who changed what, and the server itself."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontend import api
from frontend.components.messages import attempt
from unskew.charts.format import size
from unskew.schemas import api as body
from unskew.schemas.enums import Role

EVERYWHERE = "every project"
NOTHING = "nothing"


def page() -> None:
    st.title("Admin")
    people, tokens, log, server = st.tabs(["People", "Tokens", "Audit log", "Server"])
    users = api.users()
    with people:
        _people(users)
    with tokens:
        _tokens(users)
    with log:
        _log()
    with server:
        _server()


def _people(users: list[body.User]) -> None:
    if not users:
        st.info(
            "Nobody needs to log in: this server answers this machine only. With the first user, who has to be an "
            "admin, everyone logs in, and the server may listen on other addresses (`unskew up --host`)."
        )
    else:
        rows = [
            {
                "name": user.name,
                EVERYWHERE: user.role or NOTHING,
                "in single projects": ", ".join(f"{slug}: {role}" for slug, role in user.projects.items()),
                "state": "active" if user.active else "switched off",
                "since": f"{user.created_at:%Y-%m-%d}",
            }
            for user in users
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Users with their roles")
        with st.container(horizontal=True, gap="small"):
            with st.popover("Change a role", icon=":material/manage_accounts:"):
                _role_form(users)
            with st.popover("New password, on and off", icon=":material/key:"):
                _user_form(users)
    with st.form("add_user", clear_on_submit=True, width=420):
        st.markdown("**Add a user**")
        name = st.text_input("Name", max_chars=64)
        password = st.text_input("Password", type="password", help="At least 10 characters; tell it in person.")
        role = st.selectbox("Role in every project", [NOTHING, *Role], index=len(Role) if not users else 1)
        if st.form_submit_button("Add", type="primary"):
            _add(name, password, role)


def _add(name: str, password: str, role: str) -> None:
    if not name or len(password) < 10:
        st.error("A user has a name and a password of at least 10 characters.")
        return
    wanted = body.UserCreate(name=name, password=password, role=None if role == NOTHING else Role(role))
    if attempt(lambda: api.add_user(wanted), done=f"{name} added"):
        st.rerun()


def _role_form(users: list[body.User]) -> None:
    with st.form("grant", border=False):
        name = st.selectbox("User", [user.name for user in users], key="grant_user")
        where = st.selectbox("Where", [EVERYWHERE, *[project.slug for project in api.projects()]])
        role = st.selectbox("Role", [*Role, NOTHING])
        wanted = body.RightWrite(
            project=None if where == EVERYWHERE else where, role=None if role == NOTHING else Role(role)
        )
        if st.form_submit_button("Set", type="primary") and attempt(
            lambda: api.grant(name, wanted), done=f"{name}: {role} in {where}"
        ):
            st.rerun()


def _user_form(users: list[body.User]) -> None:
    with st.form("change_user", border=False):
        name = st.selectbox("User", [user.name for user in users], key="change_name")
        password = st.text_input("New password", type="password", help="Empty: the old one stays.")
        active = st.toggle("May log in", value=True)
        given = {"active": active} | ({"password": password} if password else {})
        if st.form_submit_button("Save", type="primary") and attempt(
            lambda: api.change_user(name, body.UserPatch.model_validate(given)), done=f"{name} saved"
        ):
            st.rerun()


def _tokens(users: list[body.User]) -> None:
    found = api.tokens() if users else []
    if found:
        rows = [
            {
                "id": token.id,
                "user": token.user,
                "for": token.name,
                "at most": token.role,
                "where": token.project or EVERYWHERE,
                "until": f"{token.expires_at:%Y-%m-%d}",
                "state": "revoked" if token.revoked else "open",
            }
            for token in found
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Tokens")
    else:
        st.caption("No tokens yet. A token lets a program do at most what its owner may.")
    if not users:
        return
    with st.container(horizontal=True, gap="small"):
        with st.popover("New token", icon=":material/add:"), st.form("add_token", border=False):
            name = st.text_input("For", max_chars=100, placeholder="nightly report")
            role = st.selectbox("At most", list(Role))
            days = st.number_input("Days", 1, 366, 90)
            if st.form_submit_button("Make", type="primary") and name:
                attempt(lambda: _show_key(api.add_token(body.TokenCreate(name=name, role=role, days=int(days)))))
        still_open = [token.id for token in found if not token.revoked]
        if still_open:
            with st.popover("Revoke", icon=":material/block:"), st.form("revoke", border=False):
                chosen = st.selectbox("Token", still_open)
                if st.form_submit_button("Revoke for good", type="primary") and attempt(
                    lambda: api.revoke_token(chosen), done=f"Token {chosen} is closed"
                ):
                    st.rerun()


def _show_key(made: body.TokenMade) -> None:
    st.success(f"Good until {made.expires_at:%Y-%m-%d}. Copy it now: it is not shown again.")
    st.code(made.key, language=None)


def _log() -> None:
    names = [EVERYWHERE, *[project.slug for project in api.projects()]]
    where = st.selectbox("Changes in", names, width=260)
    lines = api.audit(None if where == EVERYWHERE else where, 200)
    if not lines:
        st.caption("Nothing was changed yet.")
        return
    rows = [
        {
            "at (UTC)": f"{line.at:%Y-%m-%d %H:%M:%S}",
            "who": line.who,
            "what": line.action,
            "on": line.subject,
            "project": line.project or "",
            "answer": str(line.status or ""),
        }
        for line in lines
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Audit log, newest first")
    st.caption("Labels are not here: each is kept with its annotator, and the export of a group set names them.")


def _server() -> None:
    found = api.server()
    st.markdown("**Disk**")
    used = [{"what": name, "size": size(n)} for name, n in found.disk.items()]
    st.dataframe(pd.DataFrame(used), hide_index=True, width=420, height="content", alt="What the data folder holds")
    st.caption("`unskew gc` removes what no row names; a report keeps what it needs.")
    settings = found.settings | {f"limit of {name}": size(n) for name, n in found.limits.items()}
    for title, rows in (("Versions", found.versions | {"schema": found.revision}), ("Settings", settings)):
        st.markdown(f"**{title}**")
        table = pd.DataFrame(rows.items(), columns=["what", "value"])
        st.dataframe(table, hide_index=True, width=720, height="content", alt=title)
