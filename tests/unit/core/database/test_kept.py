"""Connections that stay open between uses."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.kept import KeptConnections
from noria.core.database.sqlite import SqliteFile, driver_of
from noria.core.errors import Unavailable


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    made = SqliteFile(f"sqlite:///{tmp_path / 'file.db'}", readers=False)
    with made.engine.begin() as connection:
        connection.exec_driver_sql("create table t (n integer primary key)")
    yield made
    made.dispose()


def keeper(file: SqliteFile, *, limit: int = 1, timeout_s: float = 5) -> KeptConnections:
    return KeptConnections(file, begin="BEGIN", limit=limit, timeout_s=timeout_s)


def rows(connection: sa.Connection) -> list[int]:
    return list(connection.exec_driver_sql("select n from t order by n").scalars())


def driver(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    assert raw is driver_of(connection)
    return raw


def test_a_connection_is_used_again(file: SqliteFile) -> None:
    """The next block gets the one that came back last."""
    kept = keeper(file, limit=2)
    with kept.reading() as first, kept.reading() as second:
        pass
    with kept.reading() as third:
        assert third is first is not second
    kept.dispose()


def test_a_block_is_one_transaction(file: SqliteFile) -> None:
    """It is open inside the block only; a writing block commits, a reading one rolls back."""
    kept = keeper(file)
    with kept.writing(full=False) as connection:
        assert driver(connection).in_transaction
        connection.exec_driver_sql("insert into t values (1)")
    assert not driver(connection).in_transaction
    with kept.reading() as again:
        assert again is connection
        again.exec_driver_sql("insert into t values (2)")
    with kept.reading() as again:
        assert rows(again) == [1]
    kept.dispose()


def test_a_block_that_raises_leaves_nothing_open(file: SqliteFile) -> None:
    """Its transaction is rolled back, and the connection goes on."""
    kept = keeper(file)
    with contextlib.suppress(KeyError), kept.writing(full=False) as connection:
        connection.exec_driver_sql("insert into t values (1)")
        raise KeyError("in the middle")
    with kept.reading() as again:
        assert again is connection
        assert rows(again) == []
    kept.dispose()


def test_a_commit_that_is_refused_is_told_and_leaves_nothing_open(file: SqliteFile) -> None:
    """What the driver says at the commit is raised, and what the block did is gone."""
    kept = keeper(file)
    with kept.writing(full=False) as connection:
        connection.exec_driver_sql("create table c (n references t (n) deferrable initially deferred)")
    driver(connection).execute("PRAGMA foreign_keys=ON")
    with pytest.raises(sqlite3.IntegrityError), kept.writing(full=False) as connection:
        connection.exec_driver_sql("insert into c values (7)")
    with kept.reading() as again:
        assert again.exec_driver_sql("select count(*) from c").scalar() == 0
    kept.dispose()


@pytest.mark.parametrize(("full", "level"), [(True, 2), (False, 1)])
def test_a_writer_is_as_durable_as_it_is_asked_to_be(file: SqliteFile, full: bool, level: int) -> None:
    """Each block sets the level that it needs, whatever the one before it had."""
    kept = keeper(file)
    with kept.writing(full=not full):
        pass
    with kept.writing(full=full) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    kept.dispose()


def test_a_connection_that_broke_is_not_lent_again(file: SqliteFile) -> None:
    """One whose rollback fails is closed, and another takes its place."""
    kept = keeper(file)
    with kept.reading() as broken:
        driver(broken).close()
    with kept.reading() as fresh:
        assert fresh is not broken
        assert rows(fresh) == []
    kept.dispose()


def test_a_connection_that_cannot_begin_is_not_lent_again(file: SqliteFile) -> None:
    """What the driver says is raised as this house's error, and the next block has a connection that works."""
    kept = keeper(file)
    with kept.reading() as other:
        pass
    driver(other).close()
    with pytest.raises(sqlite3.ProgrammingError), kept.reading():
        pass
    with kept.reading() as fresh:
        assert rows(fresh) == []
    kept.dispose()


def test_no_more_than_the_limit_are_lent(file: SqliteFile) -> None:
    """Whoever comes then waits for one, and is refused when none comes back in time."""
    kept = keeper(file, timeout_s=0.01)
    patient = keeper(file, timeout_s=30)
    seen: list[list[int]] = []

    def wait() -> None:
        with patient.reading() as connection:
            seen.append(rows(connection))

    with kept.reading(), pytest.raises(Unavailable, match="busy"), kept.reading():
        pass
    with patient.writing(full=False) as connection:
        waiting = threading.Thread(target=wait)
        waiting.start()
        connection.exec_driver_sql("insert into t values (7)")
    waiting.join()
    kept.dispose()
    patient.dispose()

    assert seen == [[7]]


def test_what_cannot_be_opened_takes_no_place(tmp_path: Path) -> None:
    """The error of opening is raised each time, at once."""
    missing = SqliteFile(f"sqlite:///{tmp_path / 'no' / 'file.db'}", readers=False)
    kept = keeper(missing, timeout_s=0.01)
    for _ in range(3):
        with pytest.raises(Unavailable, match="unable to open"), kept.reading():
            pass
    kept.dispose()


def test_connections_are_closed_in_the_end(file: SqliteFile) -> None:
    """Idle ones when the keeper is disposed of, lent ones when they come back."""
    kept = keeper(file, limit=2)
    with kept.reading() as idle:
        pass
    with kept.reading() as lent:
        kept.dispose()
        assert not lent.closed
    assert idle.closed
    assert lent.closed
