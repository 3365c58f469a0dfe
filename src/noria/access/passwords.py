"""Passwords: hashed with argon2id, compared in constant time, and slow to guess."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from blake3 import blake3

from noria.access.tables import sign_in_failures, users
from noria.core.clock import Clock
from noria.core.http_errors import TooManyRequests

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FAILURES_OF_A_NAME = 5
FAILURES_OF_ALL = 200
WINDOW = timedelta(minutes=5)
_KEPT = timedelta(hours=1)

# RFC 9106 and OWASP's smallest recommended setting: a guess costs 19 MiB and about 30 ms, and a server that is asked
# twelve times at once stays small.
_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


@cache
def _nobody() -> str:
    return hash_password("the password of nobody")


def hash_password(password: str) -> str:
    """Hash a password with a random salt."""
    return _hasher().hash(password)


def matches(connection: sa.Connection, name: str, password: str) -> bool:
    """Tell whether a user of this name has this password; takes as long when there is no such user."""
    from argon2.exceptions import VerifyMismatchError

    query = sa.select(users.c.password_hash).where(users.c.name == name)
    stored = connection.execute(query).scalar_one_or_none()
    try:
        _hasher().verify(stored or _nobody(), password)
    except VerifyMismatchError:
        return False
    return stored is not None


def check_attempts(connection: sa.Connection, clock: Clock, name: str) -> None:
    """Refuse another guess after too many wrong ones.

    Raises
    ------
    TooManyRequests
        For this name, or for all names together, until the oldest of those guesses is `WINDOW` old.
    """
    since = clock.now() - WINDOW
    recent = sa.select(sa.func.count(), sa.func.min(sign_in_failures.c.at)).where(
        sign_in_failures.c.at > since
    )
    for query, most in (
        (recent.where(sign_in_failures.c.name_hash == _digest(name)), FAILURES_OF_A_NAME),
        (recent, FAILURES_OF_ALL),
    ):
        n_failures, oldest = connection.execute(query).one()
        if n_failures >= most:
            wait_s = max(1, int((oldest - since).total_seconds()))
            raise TooManyRequests(
                "There were too many wrong passwords",
                hint=f"Wait {wait_s} s",
                details={"retry_after_s": wait_s},
            )


def record_failure(connection: sa.Connection, clock: Clock, name: str) -> bool:
    """Note a wrong password; True when it is the one from which on the name has to wait."""
    now = clock.now()
    connection.execute(sa.delete(sign_in_failures).where(sign_in_failures.c.at < now - _KEPT))
    connection.execute(sa.insert(sign_in_failures).values(name_hash=_digest(name), at=now))
    count = (
        sa.select(sa.func.count())
        .where(sign_in_failures.c.name_hash == _digest(name))
        .where(sign_in_failures.c.at > now - WINDOW)
    )
    return connection.execute(count).scalar_one() == FAILURES_OF_A_NAME


def has_failed(connection: sa.Connection, name: str) -> bool:
    """Tell whether there is a wrong password to forget."""
    failed = sa.exists().where(sign_in_failures.c.name_hash == _digest(name))
    return bool(connection.execute(sa.select(failed)).scalar_one())


def forget_failures(connection: sa.Connection, name: str) -> None:
    """Start anew after a right password."""
    connection.execute(sa.delete(sign_in_failures).where(sign_in_failures.c.name_hash == _digest(name)))


def _digest(name: str) -> str:
    return blake3(name.encode()).hexdigest()
