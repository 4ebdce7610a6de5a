"""Who asks: a person, a program with a token, or somebody at this machine before there are any users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unskew.errors import NotFoundError, RightsError
from unskew.schemas.enums import Role


@dataclass(frozen=True)
class Identity:
    """Somebody that is known.

    Args:
        name: as it stands in the audit log and on labels.
        rights: role by project number; None: in every project.
        user_id: None at this machine without users.
        login: came with a browser's login, not with a token.
    """

    name: str
    rights: Mapping[int | None, Role] = field(default_factory=dict)
    user_id: int | None = None
    login: bool = False

    def role(self, project_id: int | None = None) -> Role | None:
        """The role in a project, or outside of all of them."""
        found = [self.rights[p] for p in {project_id, None} if p in self.rights]
        return max(found, key=list(Role).index, default=None)

    @property
    def at_machine(self) -> bool:
        """Sits at this machine: may name code to run and files to open, which nobody may over the network."""
        return self.user_id is None

    @property
    def visible(self) -> frozenset[int] | None:
        """Numbers of the projects that may be seen; None: all."""
        return None if None in self.rights else frozenset(p for p in self.rights if p is not None)

    def limited(self, most: Role, project_id: int | None) -> Identity:
        """The same person with a token that allows less."""
        rights = {p: min(role, most, key=list(Role).index) for p, role in self.rights.items()}
        if project_id is not None:
            own = Identity(self.name, rights).role(project_id)
            rights = {} if own is None else {project_id: own}
        return Identity(self.name, rights, self.user_id)

    def require(self, needed: Role, project_id: int | None = None) -> None:
        """Raise unless the role is enough.

        Raises:
            NotFoundError: the project may not even be seen, so that guessing ids tells nothing.
            RightsError: it may be seen, but not this.
        """
        own = self.role(project_id)
        if own is None and project_id is not None:
            raise NotFoundError("There is no such thing.")
        if own is None or not own.includes(needed):
            where = "here" if project_id is not None else "on this server"
            raise RightsError(
                f"This needs the role {needed.value}; {self.name} is {own.value if own else 'nothing'} {where}.",
                fix="Ask an admin for it: `unskew user grant`.",
            )


LOCAL = Identity("me", {None: Role.ADMIN})  # 127.0.0.1 without users
