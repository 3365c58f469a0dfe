"""One connection to SQLite, for statements on the driver and for SQLAlchemy."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.core.database.new_database import make_new
from noria.core.database.prepared import Prepared
from noria.core.database.revisions import heads
from noria.core.database.schema import whole_metadata
from noria.core.database.sqlite import SqliteFile, around, driver_of, plain_path
from noria.tracking.tables import tracking_keys as keys

ADD = Prepared(lambda _: sa.insert(keys).values(key=sa.bindparam("key")))
ALL = Prepared(lambda _: sa.select(keys.c.key).order_by(keys.c.key))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'noria.db'}")
    make_new(opened, heads=heads())
    yield opened
    opened.dispose()


def kept(database: Database) -> list[str]:
    with database.read() as connection:
        return [key for (key,) in ALL.all(connection, {})]


def test_sqlalchemy_comes_into_the_middle_of_a_transaction(database: Database) -> None:
    """What the driver wrote before stays, is seen, and commits with what SQLAlchemy writes after it."""
    with database.write() as connection:
        ADD.run(connection, {"key": "1"})
        connection.execute(sa.insert(keys).values(key="2"))
        assert driver_of(connection).in_transaction
        ADD.run(connection, {"key": "3"})
        assert list(connection.execute(sa.select(keys.c.key).order_by(keys.c.key)).scalars()) == [
            "1",
            "2",
            "3",
        ]
        assert ALL.all(connection, {}) == [("1",), ("2",), ("3",)]

    assert kept(database) == ["1", "2", "3"]


@pytest.mark.parametrize("by_sqlalchemy", [True, False])
def test_a_block_that_raises_takes_back_what_both_wrote(database: Database, by_sqlalchemy: bool) -> None:
    """Whether SQLAlchemy's object was made in this block, in one before, or by the error itself."""
    for key in ("1", "2"):
        with contextlib.suppress(sa.exc.IntegrityError), database.write() as connection:
            ADD.run(connection, {"key": key})
            if by_sqlalchemy:
                connection.execute(sa.insert(keys).values(key=f"1{key}"))
            ADD.run(connection, {"key": None})

    assert kept(database) == []


def test_an_error_of_the_driver_is_sqlalchemys(database: Database) -> None:
    """Whoever catches it need not know which way a statement went, and the text is told."""
    with database.write() as connection:
        with pytest.raises(sa.exc.IntegrityError, match="NOT NULL") as caught:
            ADD.run(connection, {"key": None})
        assert isinstance(caught.value.orig, sqlite3.IntegrityError)
        assert "INSERT INTO tracking_keys" in str(caught.value)


def test_a_savepoint_of_sqlalchemy_lies_inside(database: Database) -> None:
    """It takes back its own part alone."""
    with database.write() as connection:
        ADD.run(connection, {"key": "1"})
        with contextlib.suppress(KeyError), connection.begin_nested():
            ADD.run(connection, {"key": "2"})
            raise KeyError("inside")
        ADD.run(connection, {"key": "3"})

    assert kept(database) == ["1", "3"]


def test_the_dialect_has_its_name_before_sqlalchemy_is_asked(database: Database) -> None:
    """And everything else as soon as it is asked for."""
    with database.read() as connection:
        early = connection.dialect
        assert early.name == "sqlite"
        assert early.positional is True
        assert connection.dialect is around(connection).dialect


def test_threads_may_ask_for_sqlalchemy_at_once(database: Database) -> None:
    """Each gets it around the connection that it was lent."""
    meeting, wrong = threading.Barrier(8), []

    def ask() -> None:
        with database.read() as connection:
            meeting.wait()
            own: object = around(connection).connection.dbapi_connection
            if own is not driver_of(connection) or connection.execute(sa.select(keys.c.key)).all():
                wrong.append(own)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_the_engine_opens_connections_of_its_own(database: Database, tmp_path: Path) -> None:
    """With the same settings, in transactions that begin at once."""
    with database.write() as connection:
        ADD.run(connection, {"key": "1"})
    with database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        assert not raw.in_transaction
        assert connection.exec_driver_sql("pragma foreign_keys").scalar_one() == 1
        assert raw.in_transaction
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "noria.db", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("begin immediate")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////tmp/a.db", "/tmp/a.db"),  # noqa: S108 - only an address
        ("sqlite:///a b/ü#1.db", "a b/ü#1.db"),
        ("sqlite:///a%20b.db", None),
        ("sqlite:///file:x?mode=ro&uri=true", None),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://h/d", None),
    ],
)
def test_a_plain_address_is_read_as_sqlalchemy_reads_it(url: str, path: str | None) -> None:
    """Any other is left to it."""
    assert plain_path(url) == path
    if path is not None:
        assert sa.make_url(url).database == path


def test_an_address_with_options(tmp_path: Path) -> None:
    """Is opened as SQLAlchemy opens it."""
    (tmp_path / "x.db").touch()
    file = SqliteFile(f"sqlite:///file:{tmp_path}/x.db?mode=ro&uri=true", readers=True)
    with contextlib.closing(file.connect()) as raw:
        assert raw.execute("select 1 from sqlite_master").fetchall() == []
    file.dispose()


def test_a_declared_table_is_sqlalchemys_wherever_it_stands() -> None:
    """In every kind of statement, and by what a table has."""
    texts = [sa.select(keys), sa.insert(keys), sa.update(keys).values(key="1"), sa.delete(keys)]

    assert all("tracking_keys" in str(text) for text in texts)
    assert str(keys.alias("x").c.key) == "x.key"
    assert keys.c.key.table is whole_metadata().tables["tracking_keys"]
    assert [column.name for column in keys.primary_key] == ["pk"]


def test_declaring_imports_no_sqlalchemy() -> None:
    """The tables and statements of a capability cost a command their own declarations only."""
    program = """
import sys
import noria.core.database.migrate, noria.pipelines.service, noria.tracking.service, noria.access.projects
assert "sqlalchemy" not in sys.modules
from noria.tracking.tables import runs
assert runs.name == "runs" and "sqlalchemy" in sys.modules
"""
    subprocess.run([sys.executable, "-I", "-c", program], check=True, timeout=60)
