"""A file of SQLite: how it is opened, for the driver itself and for SQLAlchemy."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from noria.core.database.alchemy import sa

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_TIMEOUT_S: Final = 30.0
"""How long a connection waits for a lock of another process."""

KEPT: Final = "noria_kept"
"""Execution option of connections whose transactions begin and end on the driver."""

_PLAIN: Final = "sqlite:///"


class SqliteFile:
    """Opens connections to one file, alike for all who ask.

    Parameters
    ----------
    url
        `sqlite:///…`, of a file.
    readers
        Whether its connections refuse to write.
    """

    def __init__(self, url: str, *, readers: bool) -> None:
        self.url = url
        self._readers = readers
        self._engine: sa.Engine | None = None
        self._making = threading.Lock()
        self._given = threading.local()

    def connect(self) -> sqlite3.Connection:
        """Open a connection of the driver's, which begins no transaction by itself."""
        path, options = _arguments(self.url)
        raw: sqlite3.Connection = sqlite3.connect(
            path,
            **{"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None, **options},
        )
        try:
            raw.execute("PRAGMA query_only=ON" if self._readers else "PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            raw.close()
            raise
        return raw

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine, made when it is first asked for. Each of its connections is opened anew."""
        with self._making:
            if self._engine is None:
                self._engine = self._made()
            return self._engine

    def around(self, raw: sqlite3.Connection) -> sa.Connection:
        """Give SQLAlchemy's object around a connection whose transactions begin and end on the driver."""
        engine = self.engine
        self._given.raw = raw
        try:
            connection = engine.connect().execution_options(**{KEPT: True})
        finally:
            self._given.raw = None
        connection.begin()  # stands in one transaction of its own for as long as it lives
        return connection

    def dispose(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.dispose()

    def _made(self) -> sa.Engine:
        engine = sa.create_engine(self.url, creator=self._connection, poolclass=sa.pool.NullPool)
        begin = "BEGIN" if self._readers else "BEGIN IMMEDIATE"

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            if not connection.get_execution_options().get(KEPT):
                raw: Any = connection.connection.dbapi_connection
                raw.execute(begin)

        # At its first connection an engine asks the driver this and that, and rolls back: not in a transaction of ours.
        engine.connect().close()
        return engine

    def _connection(self) -> DBAPIConnection:
        raw: Any = getattr(self._given, "raw", None) or self.connect()
        return raw  # type: ignore[no-any-return]


class SqliteConnection:
    """A connection of the driver's, which is SQLAlchemy's too from the moment on at which that is asked for.

    Statements that are `Prepared` run on the driver. All that a `sa.Connection` has is here as well, in the same
    transaction.

    Attributes
    ----------
    raw
        The driver's connection.
    is_durable
        Whether its commits survive loss of power.
    """

    __slots__ = ("_around", "_file", "closed", "is_durable", "raw")

    def __init__(self, file: SqliteFile) -> None:
        self.raw = file.connect()
        self.is_durable = False
        self.closed = False
        self._file = file
        self._around: sa.Connection | None = None

    @property
    def dialect(self) -> Any:
        """SQLAlchemy's dialect; as long as SQLAlchemy was not needed, its name alone."""
        return _Dialect(self) if self._around is None else self._around.dialect

    def around(self) -> sa.Connection:
        """Give SQLAlchemy's connection."""
        if self._around is None:
            self._around = self._file.around(self.raw)
        return self._around

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run a statement of SQLAlchemy's."""
        return self.around().execute(*args, **options)

    def exec_driver_sql(self, *args: Any, **options: Any) -> Any:
        """Run a text, and give its rows as SQLAlchemy does."""
        return self.around().exec_driver_sql(*args, **options)

    def __getattr__(self, name: str) -> Any:
        """Give what else SQLAlchemy's connection has."""
        return getattr(self.around(), name)

    def close(self, *, broken: bool = False) -> None:
        """Close it.

        Parameters
        ----------
        broken
            Whether the driver's connection can no longer be used.
        """
        self.closed = True
        if self._around is not None:
            if broken:
                with contextlib.suppress(sa.exc.DBAPIError, sqlite3.Error):
                    self._around.invalidate()
            self._around.close()
        with contextlib.suppress(sqlite3.Error):
            self.raw.close()


def around(connection: sa.Connection) -> sa.Connection:
    """Give SQLAlchemy's own connection, for what asks for nothing else."""
    lent: object = connection
    return lent.around() if isinstance(lent, SqliteConnection) else connection


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """Give the driver's connection of one to SQLite, inside its transaction."""
    lent: Any = connection
    raw: sqlite3.Connection = lent.raw
    return raw


class _Dialect:
    """What is asked of a dialect most often is its name."""

    __slots__ = ("_connection",)
    name = "sqlite"

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._connection.around().dialect, attribute)


def plain_path(url: str) -> str | None:
    """Give the path in an address of SQLite that is nothing but a path, as it stands there; None for any other."""
    path = url.removeprefix(_PLAIN)
    return path if path not in ("", url, ":memory:") and not {"?", "%"}.intersection(path) else None


def _arguments(url: str) -> tuple[str, dict[str, Any]]:
    """Give what the driver opens a file with."""
    plain = plain_path(url)
    if plain is not None:
        return os.path.abspath(plain), {}  # noqa: PTH100 - as SQLAlchemy does
    from sqlalchemy.dialects import sqlite

    (path,), options = sqlite.dialect().create_connect_args(sa.make_url(url))
    return path, dict(options)
