"""Tokens as they are stored, and whom a secret belongs to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from blake3 import blake3

from noria.access.entities import Token, TokenKind, limited
from noria.access.projects import project_pk
from noria.access.tables import project_roles, projects, tokens, users
from noria.core.clock import Clock
from noria.core.database.alchemy import sa
from noria.core.database.engine import Database
from noria.core.database.prepared import Prepared
from noria.core.ids import new_id
from noria.core.permissions import LOCAL_OWNER, Principal, Role

SECRET_PREFIX = "noria_"  # noqa: S105 - begins every secret, so that scanners for leaked ones know it
_SHOWN = len(SECRET_PREFIX) + 6
_EXPIRED_KEPT = timedelta(days=1)
_TOKEN_ACTOR = "token:"  # noqa: S105 - how the log calls a token without a user


def authenticate(connection: sa.Connection, clock: Clock, secret: str) -> Principal | None:
    """Give the caller that a secret stands for, with today's roles; None if it is unknown or expired."""
    if not secret.startswith(SECRET_PREFIX):
        return None
    query = select_tokens().where(tokens.c.secret_hash == hash_secret(secret))
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    token = read_token(row)
    if token.expires_at <= clock.now():
        return None
    return limited(_owner(connection, token), token)


def principal_of_name(connection: sa.Connection, clock: Clock, name: str) -> Principal | None:
    """Give the caller of a name with today's roles, for what is done in their name while they are away.

    Parameters
    ----------
    name
        What the event log shows as actor: `local`, a user's name, `token:<name>`.

    Returns
    -------
    Principal or None
        None where nobody of this name could sign in any more.
    """
    if name == LOCAL_OWNER.name:
        return LOCAL_OWNER
    if name.startswith(_TOKEN_ACTOR):
        of_name = (
            select_tokens()
            .where(tokens.c.name == name.removeprefix(_TOKEN_ACTOR), tokens.c.kind == str(TokenKind.API))
            .where(tokens.c.user_pk.is_(None), tokens.c.expires_at > clock.now())
            .order_by(tokens.c.id.desc())
            .limit(1)
        )
        row = connection.execute(of_name).mappings().first()
        return None if row is None else limited(_owner(connection, read_token(row)), read_token(row))
    user = connection.execute(sa.select(users.c.pk, users.c.role).where(users.c.name == name)).first()
    return None if user is None else _user(connection, name, user.pk, user.role)


def issue_narrow_token(
    connection: sa.Connection,
    clock: Clock,
    *,
    name: str,
    project: str | None,
    permissions: Collection[str],
    role: Role,
    ttl_s: float,
) -> str:
    """Make a token for one job or one model server, and give its secret.

    Parameters
    ----------
    name
        What the event log shows as actor: `worker:<job id>`.
    project
        The only project it is good in; None for all.
    permissions
        Names of the only permissions it has.
    """
    _, secret = insert_token(
        connection,
        clock,
        kind=TokenKind.NARROW,
        name=name,
        project=project,
        role=role,
        permissions=sorted(permissions),
        expires_at=clock.now() + timedelta(seconds=ttl_s),
    )
    return secret


def drop_narrow_tokens(connection: sa.Connection, name: str) -> None:
    """End the tokens that Noria made under a name, once the job is over."""
    _DROP.run(connection, {"name": name, "kind": str(TokenKind.NARROW)})


_DROP = Prepared(
    lambda _: (
        sa.delete(tokens)
        .where(tokens.c.name == sa.bindparam("name"))
        .where(tokens.c.kind == sa.bindparam("kind"))
    )
)


def any_user(connection: sa.Connection) -> bool:
    """Tell whether a user exists; from then on a server lets nobody in without a credential."""
    return _FIRST_USER.first(connection, {}) is not None


def has_users(database: Database) -> bool:
    """Tell the same where nothing else is asked of the database."""
    return database.first(_FIRST_USER) is not None


_FIRST_USER = Prepared(lambda _: sa.select(users.c.pk).limit(1))


def insert_token(
    connection: sa.Connection,
    clock: Clock,
    *,
    kind: TokenKind,
    name: str,
    role: Role,
    expires_at: datetime,
    user_pk: int | None = None,
    project: str | None = None,
    permissions: list[str] | None = None,
) -> tuple[Token, str]:
    """Store a new token and give it with its secret; tokens that expired long ago are dropped on the way."""
    now = clock.now()
    connection.execute(sa.delete(tokens).where(tokens.c.expires_at < now - _EXPIRED_KEPT))
    import secrets  # with OpenSSL: not for every command that knows what a principal is

    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": new_id(),
        "kind": str(kind),
        "name": name,
        "prefix": secret[:_SHOWN],
        "role": str(role),
        "permissions": permissions,
        "created_at": now,
        "expires_at": expires_at,
    }
    joined = {
        "secret_hash": hash_secret(secret),
        "user_pk": user_pk,
        "project_pk": None if project is None else project_pk(connection, project),
    }
    connection.execute(sa.insert(tokens).values(**row, **joined))
    stored = connection.execute(select_tokens().where(tokens.c.id == row["id"])).mappings().one()
    return read_token(stored), secret


def select_tokens() -> sa.Select[Any]:
    """Select what a `Token` is made of."""
    joined = tokens.outerjoin(users, users.c.pk == tokens.c.user_pk).outerjoin(
        projects, projects.c.pk == tokens.c.project_pk
    )
    return sa.select(
        tokens.c.id,
        tokens.c.kind,
        tokens.c.name,
        tokens.c.prefix,
        users.c.name.label("user"),
        projects.c.name.label("project"),
        tokens.c.role,
        tokens.c.permissions,
        tokens.c.created_at,
        tokens.c.expires_at,
    ).select_from(joined)


def read_token(row: sa.RowMapping) -> Token:
    """Make a token of a selected row."""
    return Token(**{**row, "kind": TokenKind(row["kind"]), "role": Role(row["role"])})


def roles_by_project(connection: sa.Connection, user_pk: int) -> dict[str, Role]:
    """Read the roles that a user has in single projects."""
    return {name: Role(role) for name, role in _ROLES.all(connection, {"user_pk": user_pk})}


# Read with each request of a person.
_ROLES = Prepared(
    lambda _: (
        sa.select(projects.c.name, project_roles.c.role)
        .join(projects, projects.c.pk == project_roles.c.project_pk)
        .where(project_roles.c.user_pk == sa.bindparam("user_pk"))
        .order_by(projects.c.name)
    )
)


def hash_secret(secret: str) -> str:
    """Give what is stored of a secret."""
    return blake3(secret.encode()).hexdigest()


def _owner(connection: sa.Connection, token: Token) -> Principal:
    if token.user is None:
        name = token.name if token.kind is TokenKind.NARROW else _TOKEN_ACTOR + token.name
        return Principal(name=name, role=Role.ADMIN)
    query = sa.select(users.c.pk, users.c.role).where(users.c.name == token.user)
    user = connection.execute(query).one()
    return _user(connection, token.user, user.pk, user.role)


def _user(connection: sa.Connection, name: str, user_pk: int, role: str | None) -> Principal:
    return Principal(
        name=name,
        role=Role(role) if role else None,
        project_roles=roles_by_project(connection, user_pk),
        holds_key=True,
    )
