"""What a database refuses, as errors of this house."""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from noria.core.database.alchemy import sa
from noria.core.errors import Corrupt, Invalid, NoriaError, StorageFull, Unavailable

_DAMAGED = ("file is not a database", "database disk image is malformed")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a database raises in the block into Noria's errors."""
    try:
        yield
    except Exception as error:
        known = as_noria(error)
        if known is None:
            raise
        raise known from error


def as_noria(error: BaseException) -> NoriaError | None:
    """Give the error of this house for one of SQLAlchemy or of SQLite's driver; None for any other."""
    match error:
        case OverflowError() if "SQLite" in str(error):
            return _not_storable(str(error))
        case sqlite3.OperationalError():
            return _unavailable(error)
        case sqlite3.DatabaseError():
            return _damaged(error)
    # Whoever raised an error of SQLAlchemy has imported it.
    return _of_sqlalchemy(error) if "sqlalchemy" in sys.modules else None


def _of_sqlalchemy(error: BaseException) -> NoriaError | None:
    match error:
        case sa.exc.TimeoutError():
            return Unavailable(
                "The database is busy", hint="Try again; another process may be writing for long"
            )
        case sa.exc.DataError():
            return _not_storable(str(error.orig))
        case sa.exc.OperationalError() | sa.exc.InterfaceError():
            return _unavailable(error.orig)
        case sa.exc.DatabaseError():
            return _damaged(error)
    return None


def _damaged(error: Exception) -> Corrupt | None:
    text = str(error)
    if not any(sign in text for sign in _DAMAGED):
        return None
    return Corrupt(
        f"The file of the database is damaged: {getattr(error, 'orig', error)}",
        hint="Put a copy in its place; those made before migrations lie beside it (`*.before-*`)",
    )


def _unavailable(cause: BaseException | None) -> Unavailable:
    text = str(cause)
    if "disk is full" in text or "disk I/O error" in text or getattr(cause, "sqlstate", "") == "53100":
        return StorageFull(
            "The disk of the database is full",
            hint=f"Free space ({errno.errorcode[errno.ENOSPC]}) and repeat",
        )
    return Unavailable(f"The database does not answer: {text.splitlines()[0] if text else 'no reason given'}")


def _not_storable(text: str) -> Invalid:
    return Invalid(
        f"A value does not fit in the database: {text.splitlines()[0]}",
        hint="Integers have 64 bits, and text holds no null characters",
    )
