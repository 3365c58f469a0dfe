"""Connections: many readers, one writer, the same rules on SQLite and PostgreSQL.

SQLite runs in WAL mode. Readers open with `query_only`; there is one writer connection in a process, every write
begins with `BEGIN IMMEDIATE` (so that two processes queue instead of failing halfway), and a busy timeout bounds the
wait. A write is safe against the death of the process; with `durable=True` also against loss of power.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from noria.core.database.kept import KeptConnections
from noria.core.errors import ConfigInvalid, Corrupt, Invalid, StorageFull, Unavailable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

BUSY_TIMEOUT_S = 30.0
_WAIT_S = BUSY_TIMEOUT_S * 2
_READERS = 8
_DAMAGED = ("file is not a database", "database disk image is malformed")


class Database:
    """A workspace's database.

    Thread-safe. Every connection handed out is for the `with` block only.

    Parameters
    ----------
    url
        `sqlite:///path` or `postgresql://…` (the psycopg driver is chosen).
    """

    def __init__(self, url: str) -> None:
        self.url = _normalise(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = _sqlite_engine(self.url, readers=False)
            self._reader = _sqlite_engine(self.url, readers=True)
            self._kept_writer = KeptConnections(self._writer, limit=1, timeout_s=_WAIT_S)
            self._kept_readers = KeptConnections(self._reader, limit=2 * _READERS, timeout_s=_WAIT_S)
        else:
            self._writer = self._reader = _postgres_engine(self.url)

    @property
    def path(self) -> Path | None:
        """File of a SQLite database; None on PostgreSQL."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def engine(self) -> sa.Engine:
        """The engine that may write, for migrations."""
        return self._writer

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection for reading, in one consistent view."""
        if self.is_sqlite:
            with translated(), self._kept_readers.lent() as connection:
                yield connection
        else:
            with translated(), self._reader.connect() as connection:
                yield connection.execution_options(
                    postgresql_readonly=True, isolation_level="REPEATABLE READ"
                )
                connection.commit()  # at a rollback the driver forgets every statement that it prepared

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sa.Connection]:
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
        if self.is_sqlite:
            with translated(), self._kept_writer.lent() as connection:
                _set_durability(connection, full=durable)
                with connection.begin():
                    yield connection
        else:
            with translated(), self._writer.connect() as connection, connection.begin():
                yield connection

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Give the dialect's insert, which knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return upsertable(self.url.get_backend_name(), table)

    def dispose(self) -> None:
        """Close every connection."""
        if self.is_sqlite:
            self._kept_writer.dispose()
            self._kept_readers.dispose()
        self._writer.dispose()
        self._reader.dispose()


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


def _sqlite_engine(url: sa.URL, *, readers: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=sa.pool.QueuePool,
        pool_size=2 * _READERS if readers else 2,  # of writers one is kept, and one is for migrations
        max_overflow=0,
        pool_timeout=_WAIT_S,
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # The driver's own transaction handling is off: it would begin late and deferred.
        connection.isolation_level = None
        cursor = connection.cursor()
        if readers:
            cursor.execute("PRAGMA query_only=ON")
        else:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Every request begins one; through SQLAlchemy it would cost more than the statement after it.
        raw: Any = connection.connection.dbapi_connection
        raw.execute("BEGIN" if readers else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: sa.URL) -> sa.Engine:
    # The last one used first: the fewer connections, the more statements are prepared on each.
    return sa.create_engine(
        url, pool_size=_READERS, max_overflow=_READERS, pool_pre_ping=True, pool_use_lifo=True
    )


def _set_durability(connection: sa.Connection, *, full: bool) -> None:
    # Outside a transaction, or SQLite ignores it; the raw cursor keeps SQLAlchemy from beginning one.
    if connection.info.get("full", False) is not full:
        raw: Any = connection.connection.dbapi_connection
        raw.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
        connection.info["full"] = full


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLAlchemy raises in the block into Noria's errors."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise Unavailable(
            "The database is busy", hint="Try again; another process may be writing for long"
        ) from error
    except sa.exc.DataError as error:
        raise _not_storable(str(error.orig)) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise _not_storable(str(error)) from error
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise _unavailable(error.orig) from error
    except sqlite3.OperationalError as error:  # from the pragmas of a new connection
        raise _unavailable(error) from error
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        if not any(sign in str(error) for sign in _DAMAGED):
            raise
        raise Corrupt(
            f"The file of the database is damaged: {getattr(error, 'orig', error)}",
            hint="Put a copy in its place; those made before migrations lie beside it (`*.before-*`)",
        ) from error


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
