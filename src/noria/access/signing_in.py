"""Names with passwords: checked slowly once, remembered for a short while, and slow to guess.

Programs that sign in by HTTP Basic send name and password with each request, and argon2 is slow on purpose. What was
right is therefore remembered in memory, as a keyed hash that says nothing about the password to who reads the memory
of another process or a core dump without the key. What is remembered counts only as long as the user has the very
password hash in the database that was checked, so a new password, or the end of the user, counts at once.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import NamedTuple

import sqlalchemy as sa
from blake3 import blake3

from noria.access.authentication import authenticate, roles_by_project
from noria.access.entities import MAX_PASSWORD_LENGTH
from noria.access.events import SIGN_IN_BLOCKED
from noria.access.passwords import check_attempts, forget_failures, has_failed, matches, record_failure
from noria.access.tables import users
from noria.core.context import Context
from noria.core.errors import Unauthenticated
from noria.core.events.log import append
from noria.core.permissions import Principal, Role

REMEMBERED_S = 300.0
REMEMBERED_N = 1024
_MAX_NAME_LENGTH = 1000


class _Known(NamedTuple):
    password_hash: str
    until: float


class PasswordDoor:
    """Signs in by name and password, again and again.

    Thread-safe.

    Parameters
    ----------
    remembered_s
        Seconds for which a right password is not checked by argon2 again.
    remembered_n
        Most names with passwords that are remembered; the one that was used longest ago is forgotten first.
    """

    def __init__(self, *, remembered_s: float = REMEMBERED_S, remembered_n: int = REMEMBERED_N) -> None:
        self._remembered_s = remembered_s
        self._remembered_n = remembered_n
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def sign_in(self, context: Context, name: str, password: str) -> Principal:
        """Give the caller; the password may also be a token, whatever the name.

        Raises
        ------
        Unauthenticated
            If name or password is wrong.
        TooManyRequests
            After too many wrong passwords.
        """
        with context.database.read() as connection:
            principal = authenticate(connection, context.clock, password)
            if principal is not None:
                return principal
            user = _find(connection, name)
        mark = self._mark(name, password)
        if user is None or not self._remembers(context, mark, user.password_hash):
            check_password(context, name, password)
            with context.database.read() as connection:
                user = _find(connection, name)
            if user is None:
                raise wrong_password()
            self._remember(context, mark, user.password_hash)
        return Principal(name=name, role=user.role, project_roles=user.project_roles, holds_key=True)

    def _mark(self, name: str, password: str) -> bytes:
        text = f"{len(name)}:{name}{password}"
        return blake3(text.encode("utf-8", "surrogatepass"), key=self._key).digest()

    def _remembers(self, context: Context, mark: bytes, password_hash: str) -> bool:
        with self._lock:
            known = self._known.get(mark)
            if known is None:
                return False
            if known.password_hash != password_hash or known.until <= context.clock.monotonic():
                del self._known[mark]
                return False
            self._known.move_to_end(mark)
            return True

    def _remember(self, context: Context, mark: bytes, password_hash: str) -> None:
        with self._lock:
            self._known[mark] = _Known(password_hash, context.clock.monotonic() + self._remembered_s)
            while len(self._known) > self._remembered_n:
                self._known.popitem(last=False)


def check_password(context: Context, name: str, password: str) -> None:
    """Let a right password pass and count a wrong one.

    Raises
    ------
    Unauthenticated
        If name or password is wrong.
    TooManyRequests
        After too many wrong passwords.
    """
    if len(name) > _MAX_NAME_LENGTH or len(password) > MAX_PASSWORD_LENGTH:
        raise wrong_password()
    with context.database.read() as connection:
        check_attempts(connection, context.clock, name)
        right = matches(connection, name, password)
        failed_before = right and has_failed(connection, name)
    if not right:
        _count_failure(context, name)
        raise wrong_password()
    if failed_before:
        with context.database.write() as connection:
            forget_failures(connection, name)


def wrong_password() -> Unauthenticated:
    """Give the one answer to a wrong name and to a wrong password."""
    return Unauthenticated(
        "The name or the password is wrong", hint="An admin can set a new one: `noria users password`"
    )


class _User(NamedTuple):
    password_hash: str
    role: Role | None
    project_roles: dict[str, Role]


def _find(connection: sa.Connection, name: str) -> _User | None:
    row = connection.execute(_USER, {"name": name}).first()
    if row is None:
        return None
    roles = roles_by_project(connection, row.pk)
    return _User(row.password_hash, Role(row.role) if row.role else None, roles)


_USER = sa.select(users.c.pk, users.c.password_hash, users.c.role).where(users.c.name == sa.bindparam("name"))


def _count_failure(context: Context, name: str) -> None:
    with context.database.write(durable=True) as connection:
        if record_failure(connection, context.clock, name):
            # What was typed may be a password, so only the name of a user is repeated.
            known = connection.execute(sa.select(users.c.pk).where(users.c.name == name)).first()
            subject = f"user:{name}" if known else "user:unknown"
            append(connection, context.clock, actor="anyone", type=SIGN_IN_BLOCKED, subject=subject)
