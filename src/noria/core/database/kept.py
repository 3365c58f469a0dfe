"""Connections to SQLite that stay open and ready between uses.

SQLAlchemy's pool takes a connection apart and puts it together again each time, and its transactions are objects with
listeners: together they cost more than the statements of most requests. Here the transactions begin and end on the
driver. SQLAlchemy's object around a connection, once it was asked for, stands in one transaction of its own for as long
as it lives.
"""

from __future__ import annotations

import queue
import sqlite3
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from noria.core.database.failures import as_noria
from noria.core.database.sqlite import SqliteConnection, SqliteFile
from noria.core.errors import Unavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

    from noria.core.database.prepared import Prepared


class KeptConnections:
    """Lends connections to a file, at most some at once; the most recently used one first.

    Thread-safe.

    Parameters
    ----------
    begin
        What begins a transaction: `BEGIN`, or `BEGIN IMMEDIATE`.
    limit
        How many may be lent at once. Whoever comes then waits.
    timeout_s
        How long, before `Unavailable` is raised.
    """

    def __init__(self, file: SqliteFile, *, begin: str, limit: int, timeout_s: float) -> None:
        self.begin = begin
        self._file = file
        # As many tokens as may be lent: a semaphore of the standard library takes ten calls for one of these.
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(limit):
            self._free.put(None)
        self._timeout_s = timeout_s
        self._idle: deque[SqliteConnection] = deque()
        self._disposed = False

    def reading(self) -> Lent:
        """Lend a connection for a block, in a transaction that is rolled back at its end."""
        return Lent(self, commits=False, full=None)

    def glancing(self) -> Glance:
        """Lend a connection for a block of one statement that reads: no transaction stands around it."""
        return Glance(self)

    def first(self, statement: Prepared) -> tuple[Any, ...] | None:
        """Run one statement that reads and has no values, and give its first row, or None."""
        connection, broken = self.take(), True
        try:
            row: tuple[Any, ...] | None = connection.raw.execute(*statement.alone(connection)).fetchone()
            broken = False
        except sqlite3.Error as error:
            raise as_noria(error) or error from error
        finally:
            self.give_back(connection, broken=broken)
        return row

    def writing(self, *, full: bool) -> Lent:
        """Lend a connection for a block, in a transaction that commits unless the block raises.

        Parameters
        ----------
        full
            Whether the commit survives loss of power (`synchronous=FULL`), not only the death of the process.
        """
        return Lent(self, commits=True, full=full)

    def dispose(self) -> None:
        """Close every connection: idle ones now, lent ones when they come back."""
        self._disposed = True
        while self._idle:
            self._idle.pop().close()

    def take(self) -> SqliteConnection:
        """Wait for a connection, and take it."""
        try:
            self._free.get(timeout=self._timeout_s)
        except queue.Empty:
            hint = "Try again; another process may be writing for long"
            raise Unavailable("The database is busy", hint=hint) from None
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return SqliteConnection(self._file)
        except BaseException:
            self._free.put(None)
            raise

    def give_back(self, connection: SqliteConnection, *, broken: bool) -> None:
        """Take a connection back; one that broke is closed, and another takes its place at need."""
        try:
            if self._disposed or broken:
                connection.close(broken=broken)
            else:
                self._idle.append(connection)
        finally:
            self._free.put(None)


class Lent:
    """A connection for one `with` block. Whatever the database raises in it becomes one of Noria's errors."""

    __slots__ = ("_commits", "_connection", "_full", "_kept")

    def __init__(self, kept: KeptConnections, *, commits: bool, full: bool | None) -> None:
        self._kept = kept
        self._commits = commits
        self._full = full

    def __enter__(self) -> sa.Connection:
        try:
            self._connection = connection = self._kept.take()
            try:
                raw = connection.raw
                if self._full is not None and connection.is_durable is not self._full:
                    raw.execute(f"PRAGMA synchronous={'FULL' if self._full else 'NORMAL'}")
                    connection.is_durable = self._full
                raw.execute(self._kept.begin)
            except BaseException:
                self._kept.give_back(connection, broken=not self._rolled_back())
                raise
        except Exception as error:
            translated = as_noria(error)
            if translated is None:
                raise
            raise translated from error
        return cast("sa.Connection", connection)  # it has all that SQLAlchemy's has

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._commits:
            try:
                self._connection.raw.execute("COMMIT")
            except sqlite3.Error as refused:
                error = refused
        self._kept.give_back(self._connection, broken=not self._rolled_back())
        translated = None if error is None else as_noria(error)
        if translated is not None:
            raise translated from error
        if error is not None and kind is None:
            raise error

    def _rolled_back(self) -> bool:
        """Roll back what is still open, and tell whether the connection can be used again."""
        try:
            if self._connection.raw.in_transaction:
                self._connection.raw.execute("ROLLBACK")
        except sqlite3.Error:  # it was closed
            return False
        return True


class Glance:
    """A connection for a `with` block of one statement that reads, which begins and ends nothing."""

    __slots__ = ("_connection", "_kept")

    def __init__(self, kept: KeptConnections) -> None:
        self._kept = kept

    def __enter__(self) -> sa.Connection:
        try:
            self._connection = self._kept.take()
        except sqlite3.Error as error:
            raise as_noria(error) or error from error
        return cast("sa.Connection", self._connection)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whatever a statement left behind when it failed goes with its connection.
        self._kept.give_back(self._connection, broken=error is not None)
        translated = None if error is None else as_noria(error)
        if translated is not None:
            raise translated from error
