"""Users, roles and tokens, and the pure rules on them."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from noria.core.errors import Invalid
from noria.core.events.log import Event
from noria.core.permissions import Principal, Role

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 1000
RESERVED_NAMES = frozenset({"local", "control", "anyone"})
"""Actors that are no users."""

DEFAULT_TOKEN_TTL = timedelta(days=90)
MAX_TOKEN_TTL = timedelta(days=366)
MIN_TOKEN_TTL = timedelta(minutes=1)
SESSION_TTL = timedelta(hours=12)

Password = Annotated[str, msgspec.Meta(max_length=MAX_PASSWORD_LENGTH)]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in.

    Attributes
    ----------
    role
        In every project; None when roles are given per project only.
    project_roles
        Role by project name.
    """

    id: str
    name: str
    role: Role | None
    project_roles: dict[str, Role]
    created_at: datetime


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to make."""

    name: str
    password: Password
    role: Role | None = None


class UserPage(msgspec.Struct, frozen=True, kw_only=True):
    """Users in the order of their names; `next` continues."""

    items: list[User]
    next: str | None


class RoleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role to give, in one project or in all; None takes it away."""

    role: Role | None
    project: str | None = None


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password.

    Attributes
    ----------
    current
        The present password: asked of everyone but an admin.
    """

    password: Password
    current: Password | None = None


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and its password."""

    name: Annotated[str, msgspec.Meta(max_length=1000)]
    password: Password


class TokenKind(enum.StrEnum):
    """What a token was made for."""

    API = "api"  # made by a person for a program
    SESSION = "session"  # made by a sign-in
    NARROW = "narrow"  # made by Noria for one job or one model server


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A credential, without its secret.

    Attributes
    ----------
    prefix
        Beginning of the secret, by which people recognise it.
    user
        On whose behalf it acts; None for the workspace's owner and for Noria itself.
    project
        The only project it is good in; None for all.
    permissions
        The only permissions it has; None for all that the role has.
    """

    id: str
    kind: TokenKind
    name: str
    prefix: str
    user: str | None
    project: str | None
    role: Role
    permissions: list[str] | None
    created_at: datetime
    expires_at: datetime


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make.

    Attributes
    ----------
    role
        The most it may do; the caller's own role when left out.
    ttl_s
        Seconds until it expires, from a minute to a year.
    """

    name: str
    project: str | None = None
    role: Role | None = None
    permissions: list[str] | None = None
    ttl_s: float = DEFAULT_TOKEN_TTL.total_seconds()


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token with its secret, which is shown this once."""

    token: Token
    secret: str


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, newest first; `next` continues."""

    items: list[Token]
    next: str | None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events in the order of commit; `next` continues."""

    items: list[Event]
    next: int | None


def check_password(password: str) -> None:
    """Refuse a password that is too short.

    Raises
    ------
    Invalid
        If it is.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(
            f"The password has {len(password)} characters", hint=f"Use at least {MIN_PASSWORD_LENGTH}"
        )


def check_ttl(ttl_s: float) -> timedelta:
    """Give the life of a token as a duration.

    Raises
    ------
    Invalid
        If it is shorter than a minute or longer than a year.
    """
    low, high = MIN_TOKEN_TTL.total_seconds(), MAX_TOKEN_TTL.total_seconds()
    if not low <= ttl_s <= high:
        raise Invalid(f"A token cannot live for {ttl_s:g} s", hint=f"Choose from {low:g} to {high:g}")
    return timedelta(seconds=ttl_s)


def weaker(one: Role | None, other: Role | None) -> Role | None:
    """Give the weaker of two roles; None, which is no role, is the weakest.

    Examples
    --------
    >>> weaker(Role.ADMIN, Role.VIEWER)
    <Role.VIEWER: 'viewer'>
    """
    if one is None or other is None:
        return None
    return other if one.contains(other) else one


def limited(owner: Principal, token: Token) -> Principal:
    """Give what a token can do: never more than its owner can at present.

    Parameters
    ----------
    owner
        The user with today's roles, or Noria itself.
    """
    project_roles: dict[str, Role] = {}
    if token.project is None:
        role = weaker(owner.role, token.role)
        for project, owned in owner.project_roles.items():
            project_roles[project] = weaker(owned, token.role) or token.role
    else:
        role = None
        local = weaker(owner.role_in(token.project), token.role)
        if local is not None:
            project_roles[token.project] = local
    return Principal(
        name=owner.name,
        role=role,
        project_roles=project_roles,
        holds_key=True,
        only=None if token.permissions is None else frozenset(token.permissions),
    )
