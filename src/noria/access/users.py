"""Users: who may sign in, and what they may do where."""

from __future__ import annotations

import builtins
from typing import Any

import sqlalchemy as sa

from noria.access.authentication import roles_by_project
from noria.access.entities import (
    RESERVED_NAMES,
    NewUser,
    PasswordChange,
    RoleChange,
    TokenKind,
    User,
    UserPage,
    check_password,
)
from noria.access.events import USER_CREATED, USER_DELETED, USER_PASSWORD_SET, USER_ROLE_SET
from noria.access.passwords import check_attempts, hash_password, matches, record_failure
from noria.access.permissions import MANAGE_USERS, SET_PASSWORD
from noria.access.projects import project_pk
from noria.access.tables import project_roles, sessions, tokens, users
from noria.core.errors import Conflict, Forbidden, Invalid, Unauthenticated, unknown_name
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service, operation
from noria.core.permissions import LOCAL_OWNER, Role


class Users(Service):
    """The people who may sign in."""

    @operation("GET", "/users", needs=MANAGE_USERS)
    def list(self, limit: int = 100, after: str = "") -> UserPage:
        """List users in the order of their names."""
        bound = max(1, min(limit, 1000))
        query = _SELECT.where(users.c.name > after).order_by(users.c.name).limit(bound + 1)
        with self.context.database.read() as connection:
            rows = connection.execute(query).all()
            items = [_read_user(connection, row) for row in rows[:bound]]
        return UserPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("POST", "/users", needs=MANAGE_USERS)
    def create(self, new: NewUser) -> User:
        """Make a user; from the first one on, the server lets nobody in without a credential."""
        name = check_name("user", new.name)
        if name in RESERVED_NAMES:
            raise Invalid(f"`{name}` cannot be the name of a user", hint="Noria itself acts under that name")
        check_password(new.password)
        row = {
            "id": new_id(),
            "name": name,
            "password_hash": hash_password(new.password),
            "role": None if new.role is None else str(new.role),
            "created_at": self.context.clock.now(),
        }
        with self.context.database.write(durable=True) as connection:
            insert = self.context.database.insert(users).values(**row)
            done = connection.execute(
                insert.on_conflict_do_nothing(index_elements=["name"]).returning(users.c.pk)
            ).first()
            if done is None:
                raise Conflict(f"There is a user `{name}` already", hint="See `noria users list`")
            self._append(connection, USER_CREATED, name, {"role": row["role"]})
            return _find_user(connection, name)

    @operation("PUT", "/users/{name}/role", needs=MANAGE_USERS)
    def set_role(self, name: str, change: RoleChange) -> User:
        """Give a role in one project or in all, or take it away."""
        role = None if change.role is None else str(change.role)
        with self.context.database.write(durable=True) as connection:
            key = _user_pk(connection, name)
            if change.project is None:
                connection.execute(sa.update(users).where(users.c.pk == key).values(role=role))
            else:
                self._set_project_role(connection, key, project_pk(connection, change.project), role)
            self._append(connection, USER_ROLE_SET, name, {"role": role}, project=change.project)
            return _find_user(connection, name)

    @operation("PUT", "/users/{name}/password", needs=SET_PASSWORD)
    def set_password(self, name: str, change: PasswordChange) -> None:
        """Change a password: an admin anyone's, others their own, and every session of that user ends."""
        check_password(change.password)
        self._check_may_set_password(name, change)
        hashed = hash_password(change.password)
        with self.context.database.write(durable=True) as connection:
            key = _user_pk(connection, name)
            connection.execute(sa.update(users).where(users.c.pk == key).values(password_hash=hashed))
            connection.execute(
                sa.delete(tokens)
                .where(tokens.c.user_pk == key)
                .where(tokens.c.kind == str(TokenKind.SESSION))
            )
            connection.execute(sa.delete(sessions).where(sessions.c.user_pk == key))
            self._append(connection, USER_PASSWORD_SET, name, {})

    @operation("DELETE", "/users/{name}", needs=MANAGE_USERS)
    def delete(self, name: str) -> None:
        """Remove a user with all tokens; the last one only as the owner of the workspace."""
        with self.context.database.write(durable=True) as connection:
            key = _user_pk(connection, name)
            n_users = connection.execute(sa.select(sa.func.count()).select_from(users)).scalar_one()
            if n_users == 1 and self.context.principal != LOCAL_OWNER:
                raise Conflict(
                    f"`{name}` is the last user; without one the server would let everyone on its computer in",
                    hint="Make another user first, or do it as the owner of the workspace folder",
                )
            connection.execute(sa.delete(users).where(users.c.pk == key))
            self._append(connection, USER_DELETED, name, {})

    def _set_project_role(self, connection: sa.Connection, user: int, project: int, role: str | None) -> None:
        if role is None:
            connection.execute(
                sa.delete(project_roles)
                .where(project_roles.c.user_pk == user)
                .where(project_roles.c.project_pk == project)
            )
            return
        insert = self.context.database.insert(project_roles)
        connection.execute(
            insert.values(user_pk=user, project_pk=project, role=role).on_conflict_do_update(
                index_elements=["user_pk", "project_pk"], set_={"role": role}
            )
        )

    def _check_may_set_password(self, name: str, change: PasswordChange) -> None:
        caller = self.context.principal
        if caller.role is Role.ADMIN:
            return
        if caller.name != name:
            raise Forbidden(f"`{caller.name}` may not set the password of `{name}`", hint="Ask an admin")
        with self.context.database.read() as connection:
            check_attempts(connection, self.context.clock, name)
            right = matches(connection, name, change.current or "")
        if not right:
            with self.context.database.write() as connection:
                record_failure(connection, self.context.clock, name)
            raise Unauthenticated("The present password is wrong", hint="Send it as `current`")

    def _append(
        self,
        connection: sa.Connection,
        type_: EventType,
        name: str,
        payload: dict[str, Any],
        *,
        project: str | None = None,
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=type_,
            subject=f"user:{name}",
            project=project,
            payload=payload,
        )


_SELECT = sa.select(users.c.pk, users.c.id, users.c.name, users.c.role, users.c.created_at)


def _find_user(connection: sa.Connection, name: str) -> User:
    return _read_user(connection, connection.execute(_SELECT.where(users.c.name == name)).one())


def _read_user(connection: sa.Connection, row: Any) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=Role(row.role) if row.role else None,
        project_roles=roles_by_project(connection, row.pk),
        created_at=row.created_at,
    )


def _user_pk(connection: sa.Connection, name: str) -> int:
    found = connection.execute(sa.select(users.c.pk).where(users.c.name == name)).scalar_one_or_none()
    if found is None:
        known: builtins.list[str] = [*connection.execute(sa.select(users.c.name).limit(1000)).scalars()]
        raise unknown_name("user", name, known, see="noria users list")
    return int(found)
