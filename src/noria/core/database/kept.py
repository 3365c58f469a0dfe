"""Connections that stay open and ready between uses.

SQLAlchemy's pool takes a connection apart and puts it together again each time, which costs more than the transactions
of most requests. These keep SQLAlchemy's object; a use begins where the one before ended, outside any transaction.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


class KeptConnections:
    """Lends connections of an engine, at most some at once; the most recently used one first.

    Thread-safe.

    Parameters
    ----------
    limit
        How many may be lent at once. Whoever comes then waits.
    timeout_s
        How long, before `sqlalchemy.exc.TimeoutError` is raised.
    """

    def __init__(self, engine: sa.Engine, *, limit: int, timeout_s: float) -> None:
        self._engine = engine
        self._free = threading.Semaphore(limit)
        self._timeout_s = timeout_s
        self._idle: deque[sa.Connection] = deque()
        self._disposed = False

    @contextmanager
    def lent(self) -> Iterator[sa.Connection]:
        """Lend a connection for the block; a transaction that the block leaves open is rolled back."""
        if not self._free.acquire(timeout=self._timeout_s):
            raise sa.exc.TimeoutError(f"No connection became free in {self._timeout_s:g} s")
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def dispose(self) -> None:
        """Close every connection: idle ones now, lent ones when they come back."""
        self._disposed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> sa.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def _give_back(self, connection: sa.Connection) -> None:
        try:
            if connection.in_transaction():
                connection.rollback()
        except sa.exc.DBAPIError:
            # What the block itself raised is what counts; this connection is of no use any more.
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.invalidate()
        if self._disposed or connection.invalidated or connection.closed:
            connection.close()
        else:
            self._idle.append(connection)
