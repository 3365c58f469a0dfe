"""Tokens, and the sign-in that exchanges a password for one."""

from __future__ import annotations

import builtins
from typing import Any

import sqlalchemy as sa

from noria.access.authentication import insert_token, read_token, roles_by_project, select_tokens
from noria.access.entities import (
    SESSION_TTL,
    IssuedToken,
    NewToken,
    SignIn,
    TokenKind,
    TokenPage,
    check_ttl,
)
from noria.access.events import SIGNED_IN, TOKEN_CREATED, TOKEN_REVOKED
from noria.access.permissions import MANAGE_TOKENS, SIGN_IN
from noria.access.signing_in import check_password, wrong_password
from noria.access.tables import tokens, users
from noria.core.errors import Forbidden, unknown_name
from noria.core.events.log import append
from noria.core.names import check_name
from noria.core.operations import Service, operation
from noria.core.permissions import Principal, Role


class Tokens(Service):
    """Credentials for programs. People see their own; admins see all."""

    @operation("POST", "/tokens", needs=MANAGE_TOKENS)
    def create(self, new: NewToken) -> IssuedToken:
        """Make a token that can do no more than its maker; its secret is in this answer and nowhere else."""
        caller = self.context.principal
        clock = self.context.clock
        name = check_name("token", new.name)
        role = _granted_role(caller, new.project, new.role)
        permissions = _granted_permissions(caller, new.permissions)
        expires_at = clock.now() + check_ttl(new.ttl_s)
        with self.context.database.write(durable=True) as connection:
            token, secret = insert_token(
                connection,
                clock,
                kind=TokenKind.API,
                name=name,
                role=role,
                expires_at=expires_at,
                user_pk=_user_pk(connection, caller.name),
                project=new.project,
                permissions=permissions,
            )
            append(
                connection,
                clock,
                actor=caller.name,
                type=TOKEN_CREATED,
                subject=f"token:{token.id}",
                project=new.project,
                payload={
                    "name": name,
                    "role": str(role),
                    "permissions": permissions,
                    "expires_at": expires_at.isoformat(),
                },
            )
        return IssuedToken(token=token, secret=secret)

    @operation("GET", "/tokens", needs=MANAGE_TOKENS)
    def list(self, limit: int = 100, before: str | None = None, kind: TokenKind = TokenKind.API) -> TokenPage:
        """List tokens of a kind, newest first."""
        bound = max(1, min(limit, 1000))
        query = (
            self._visible().where(tokens.c.kind == str(kind)).order_by(tokens.c.id.desc()).limit(bound + 1)
        )
        if before is not None:
            query = query.where(tokens.c.id < before)
        with self.context.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        items = [read_token(row) for row in rows[:bound]]
        return TokenPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("DELETE", "/tokens/{token_id}", needs=MANAGE_TOKENS)
    def revoke(self, token_id: str) -> None:
        """End a token now."""
        with self.context.database.write(durable=True) as connection:
            row = connection.execute(self._visible().where(tokens.c.id == token_id)).mappings().first()
            if row is None:
                known: builtins.list[str] = [*connection.execute(self._visible().limit(1000)).scalars()]
                raise unknown_name("token", token_id, known, see="noria tokens list")
            connection.execute(sa.delete(tokens).where(tokens.c.id == token_id))
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=TOKEN_REVOKED,
                subject=f"token:{token_id}",
                project=read_token(row).project,
                payload={"name": read_token(row).name},
            )

    def _visible(self) -> sa.Select[Any]:
        caller = self.context.principal
        query = select_tokens()
        return query if caller.role is Role.ADMIN else query.where(users.c.name == caller.name)


class Sessions(Service):
    """Signing in."""

    @operation("POST", "/session", needs=SIGN_IN)
    def create(self, credentials: SignIn) -> IssuedToken:
        """Exchange a name and its password for a token of twelve hours."""
        check_password(self.context, credentials.name, credentials.password)
        with self.context.database.write(durable=True) as connection:
            issued = self._issue(connection, credentials.name)
            append(
                connection,
                self.context.clock,
                actor=credentials.name,
                type=SIGNED_IN,
                subject=f"user:{credentials.name}",
                payload={"token": issued.token.id},
            )
        return issued

    def _issue(self, connection: sa.Connection, name: str) -> IssuedToken:
        user = connection.execute(sa.select(users.c.pk, users.c.role).where(users.c.name == name)).first()
        if user is None:
            raise wrong_password()
        roles = [*roles_by_project(connection, user.pk).values(), *([Role(user.role)] if user.role else [])]
        token, secret = insert_token(
            connection,
            self.context.clock,
            kind=TokenKind.SESSION,
            name="sign-in",
            role=max(roles, key=lambda role: role.rank, default=Role.VIEWER),
            expires_at=self.context.clock.now() + SESSION_TTL,
            user_pk=user.pk,
        )
        return IssuedToken(token=token, secret=secret)


def _user_pk(connection: sa.Connection, name: str) -> int | None:
    return connection.execute(sa.select(users.c.pk).where(users.c.name == name)).scalar_one_or_none()


def _granted_role(caller: Principal, project: str | None, wanted: Role | None) -> Role:
    own = [caller.role_in(project)] if project is not None else [caller.role, *caller.project_roles.values()]
    strongest = max((role for role in own if role), key=lambda role: role.rank, default=None)
    if strongest is None:
        where = f"in the project `{project}`" if project is not None else "in any project"
        raise Forbidden(
            f"`{caller.name}` has no role {where} that a token could have", hint="Ask an admin for one"
        )
    if wanted is not None and not strongest.contains(wanted):
        raise Forbidden(
            f"A token of `{caller.name}` cannot have the role `{wanted}`",
            hint=f"Its own role is `{strongest}`",
        )
    return wanted or strongest


def _granted_permissions(caller: Principal, wanted: builtins.list[str] | None) -> builtins.list[str] | None:
    if caller.only is None:
        return wanted
    excess = sorted(set(wanted or ()) - caller.only)
    if excess:
        raise Forbidden(f"A token of `{caller.name}` cannot have the permission `{excess[0]}`")
    return sorted(caller.only) if wanted is None else wanted
