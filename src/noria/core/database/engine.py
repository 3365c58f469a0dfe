"""Connections: many readers, one writer, the same rules on SQLite and PostgreSQL.

SQLite runs in WAL mode. Readers open with `query_only`; there is one writer connection in a process, every write
begins with `BEGIN IMMEDIATE` (so that two processes queue instead of failing halfway), and a busy timeout bounds the
wait. A write is safe against the death of the process; with `durable=True` also against loss of power.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core.database.alchemy import sa
from noria.core.database.failures import translated
from noria.core.database.kept import KeptConnections
from noria.core.database.sqlite import BUSY_TIMEOUT_S, SqliteFile, plain_path
from noria.core.errors import ConfigInvalid

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    from noria.core.database.prepared import Prepared

_WAIT_S = BUSY_TIMEOUT_S * 2
_READERS = 8


class Database:
    """A workspace's database.

    Thread-safe. Every connection handed out is for the `with` block only.

    Parameters
    ----------
    url
        `sqlite:///path` or `postgresql://…` (the psycopg driver is chosen).
    """

    def __init__(self, url: str) -> None:
        self._given = url
        # The usual address of a file is read without SQLAlchemy.
        self._path = plain_path(url)
        self.is_sqlite = self._path is not None or self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writing, self._reading = (SqliteFile(url, readers=readers) for readers in (False, True))
            self._kept_writer = KeptConnections(
                self._writing, begin="BEGIN IMMEDIATE", limit=1, timeout_s=_WAIT_S
            )
            self._kept_readers = KeptConnections(
                self._reading, begin="BEGIN", limit=2 * _READERS, timeout_s=_WAIT_S
            )
        else:
            self._postgres = _postgres_engine(self.url)

    @cached_property
    def url(self) -> sa.URL:
        """The address."""
        return _normalise(self._given)

    @property
    def path(self) -> Path | None:
        """File of a SQLite database; None on PostgreSQL."""
        if self._path is not None:
            return Path(self._path)
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def engine(self) -> sa.Engine:
        """The engine that may write, for migrations."""
        return self._writing.engine if self.is_sqlite else self._postgres

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Give a connection for reading, in one consistent view."""
        return self._kept_readers.reading() if self.is_sqlite else self._read_postgres()

    def glance(self) -> AbstractContextManager[sa.Connection]:
        """Give a connection for one statement that reads: on SQLite a third of what a view of several takes."""
        return self._kept_readers.glancing() if self.is_sqlite else self._read_postgres()

    def first(self, statement: Prepared) -> tuple[Any, ...] | None:
        """Run one statement that reads and has no values, and give its first row, or None: the quickest look."""
        if self.is_sqlite:
            return self._kept_readers.first(statement)
        with self._read_postgres() as connection:
            return statement.first(connection, {})

    def write(self, *, durable: bool = False) -> AbstractContextManager[sa.Connection]:
        """Give a connection in a transaction that commits when the block ends and rolls back when it raises.

        Parameters
        ----------
        durable
            True for labels, decisions, registry and access: the commit also survives loss of power.

        Raises
        ------
        StorageFull
            If the disk is full; nothing of the block was kept.
        Unavailable
            If the writer's place could not be had in time, or the server is gone.
        """
        return self._kept_writer.writing(full=durable) if self.is_sqlite else self._write_postgres()

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Give the dialect's insert, which knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return upsertable("sqlite" if self.is_sqlite else "postgresql", table)

    def dispose(self) -> None:
        """Close every connection."""
        if self.is_sqlite:
            self._kept_writer.dispose()
            self._kept_readers.dispose()
            self._writing.dispose()
            self._reading.dispose()
        else:
            self._postgres.dispose()

    @contextmanager
    def _read_postgres(self) -> Iterator[sa.Connection]:
        with translated(), self._postgres.connect() as connection:
            yield connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
            connection.commit()  # at a rollback the driver forgets every statement that it prepared

    @contextmanager
    def _write_postgres(self) -> Iterator[sa.Connection]:
        with translated(), self._postgres.connect() as connection, connection.begin():
            yield connection


def upsertable(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Give the insert of `sqlite` or `postgresql` that knows what to do on a conflict."""
    # Only the dialect in use: PostgreSQL's would cost each command on SQLite a tenth of its time.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _normalise(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigInvalid(
            f"The database URL `{url}` cannot be read",
            hint="Use `sqlite:///path/to/file.db` or `postgresql://user:password@host/database`",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgres":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif backend == "postgresql":
        _require_psycopg()
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif backend == "sqlite":
        _require_file(parsed)
    else:
        raise ConfigInvalid(
            f"Noria does not run on `{backend}`",
            hint="Use `sqlite:///…` or `postgresql://…` in `NORIA_DATABASE`",
        )
    return parsed


def _require_file(url: sa.URL) -> None:
    # Readers and the writer are connections of their own: each would have a memory of its own.
    if url.database in (None, "", ":memory:") or url.query.get("mode") == "memory":
        raise ConfigInvalid(
            f"The database `{url}` is in memory, and a workspace needs a file",
            hint="Use `sqlite:///path/to/file.db`",
        )


def _require_psycopg() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigInvalid(
            "PostgreSQL needs the `psycopg` driver", hint="pip install 'noria[postgres]'"
        ) from error


def _postgres_engine(url: sa.URL) -> sa.Engine:
    # The last one used first: the fewer connections, the more statements are prepared on each.
    return sa.create_engine(
        url, pool_size=_READERS, max_overflow=_READERS, pool_pre_ping=True, pool_use_lifo=True
    )
