"""Connections that stay open between uses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.kept import KeptConnections


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = sa.create_engine(f"sqlite:///{tmp_path / 'file.db'}", connect_args={"check_same_thread": False})
    with made.begin() as connection:
        connection.exec_driver_sql("create table t (n integer primary key)")
    yield made
    made.dispose()


def rows(connection: sa.Connection) -> list[int]:
    return list(connection.exec_driver_sql("select n from t order by n").scalars())


def test_a_connection_is_used_again(engine: sa.Engine) -> None:
    """The next block gets the one that came back last."""
    kept = KeptConnections(engine, limit=2, timeout_s=5)
    with kept.lent() as first, kept.lent() as second:
        pass
    with kept.lent() as third:
        assert third is first is not second
    kept.dispose()


def test_a_block_that_raises_leaves_nothing_open(engine: sa.Engine) -> None:
    """Its transaction is rolled back, and the connection goes on."""
    kept = KeptConnections(engine, limit=1, timeout_s=5)
    with contextlib.suppress(KeyError), kept.lent() as connection:
        connection.exec_driver_sql("insert into t values (1)")
        raise KeyError("in the middle")
    with kept.lent() as again:
        assert again is connection
        assert not again.in_transaction()
        assert rows(again) == []
    kept.dispose()


def test_a_connection_that_broke_is_not_lent_again(engine: sa.Engine) -> None:
    """One whose rollback fails is closed, and another takes its place."""
    kept = KeptConnections(engine, limit=1, timeout_s=5)
    with kept.lent() as broken:
        broken.exec_driver_sql("insert into t values (1)")
        assert broken.connection.dbapi_connection is not None
        broken.connection.dbapi_connection.close()
    with kept.lent() as fresh:
        assert fresh is not broken
        assert rows(fresh) == []
    kept.dispose()


def test_no_more_than_the_limit_are_lent(engine: sa.Engine) -> None:
    """Whoever comes then waits for one, and is refused when none comes back in time."""
    kept = KeptConnections(engine, limit=1, timeout_s=0.01)
    patient = KeptConnections(engine, limit=1, timeout_s=30)
    seen: list[list[int]] = []

    def wait() -> None:
        with patient.lent() as connection:
            seen.append(rows(connection))

    with kept.lent(), pytest.raises(sa.exc.TimeoutError), kept.lent():
        pass
    with patient.lent() as connection:
        waiting = threading.Thread(target=wait)
        waiting.start()
        with connection.begin():
            connection.exec_driver_sql("insert into t values (7)")
    waiting.join()
    kept.dispose()
    patient.dispose()

    assert seen == [[7]]


def test_what_cannot_be_opened_takes_no_place(tmp_path: Path) -> None:
    """The error of opening is raised each time, at once."""
    missing = sa.create_engine(f"sqlite:///{tmp_path / 'no' / 'file.db'}")
    kept = KeptConnections(missing, limit=1, timeout_s=0.01)
    for _ in range(3):
        with pytest.raises(sa.exc.OperationalError), kept.lent():
            pass
    kept.dispose()


def test_connections_are_closed_in_the_end(engine: sa.Engine) -> None:
    """Idle ones when the keeper is disposed of, lent ones when they come back."""
    kept = KeptConnections(engine, limit=2, timeout_s=5)
    with kept.lent() as idle:
        pass
    with kept.lent() as lent:
        kept.dispose()
        assert not lent.closed
    assert idle.closed
    assert lent.closed
