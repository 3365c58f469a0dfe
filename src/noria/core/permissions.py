"""Who may do what: roles, the permissions that operations need, and the principal that calls.

A capability declares its permissions as values beside its service. A permission names the lowest role that holds it;
roles contain one another: viewer < scientist < engineer < admin.
"""

from __future__ import annotations

import enum

import msgspec


class Role(enum.StrEnum):
    """What a user may do in a project. Each role may do all that those before it may."""

    VIEWER = "viewer"
    SCIENTIST = "scientist"
    ENGINEER = "engineer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Position in the order of the roles, 0 for the least."""
        return _RANKS[self]

    def contains(self, other: Role) -> bool:
        """Tell whether this role may do all that `other` may."""
        return self is other or _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an operation needs its caller to hold.

    Parameters
    ----------
    name
        Stable name, `capability.verb`: what narrow tokens list.
    role
        The lowest role that holds it.
    key
        True for what runs code, consents to a pickle, or names a path or URL of the server's machine. On an open
        loopback server such an operation needs the workspace key, since any web page and any other user of the
        computer can reach loopback.
    public
        True for the few things that answer before anyone signs in: health, the sign-in itself.
    roleless
        True for what every known caller may do, whatever their roles: their own tokens, the list of their projects.
    """

    name: str
    role: Role = Role.VIEWER
    key: bool = False
    public: bool = False
    roleless: bool = False


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of an operation, as the gate established it.

    Attributes
    ----------
    name
        What the event log shows as actor: `local`, a user's name, `worker:<job id>`.
    role
        Role in every project, or None when roles are given per project only.
    project_roles
        Role by project name.
    holds_key
        True when the request proved more than reachability: the workspace key or a token.
    only
        When given, the names of the only permissions that this credential may use (narrow tokens).
    """

    name: str
    role: Role | None = None
    project_roles: dict[str, Role] = {}
    holds_key: bool = False
    only: frozenset[str] | None = None

    def role_in(self, project: str | None) -> Role | None:
        """Give the stronger of the workspace-wide role and the role in `project`."""
        local = self.project_roles.get(project) if project is not None else None
        if local is None or self.role is None:
            return local if self.role is None else self.role
        return local if local.contains(self.role) else self.role

    def may(self, permission: Permission, project: str | None) -> bool:
        """Tell whether this principal holds `permission` in `project` (None: in the workspace as a whole)."""
        if permission.public:
            return True
        if self.only is not None and permission.name not in self.only:
            return False
        if permission.key and not self.holds_key:
            return False
        if permission.roleless:
            return True
        role = self.role_in(project)
        return role is not None and role.contains(permission.role)


LOCAL_OWNER = Principal(name="local", role=Role.ADMIN, holds_key=True)
"""Whoever can open the workspace's folder: the file system has let them in already."""

LOCAL_VISITOR = Principal(name="local", role=Role.ADMIN, holds_key=False)
"""Whoever reaches an open server on loopback without the workspace key."""
