"""Statements that run on the driver itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database, upsertable
from noria.core.database.failures import translated
from noria.core.database.prepared import Prepared
from noria.core.errors import Invalid
from support.postgres import PostgresServer

things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("name", sa.Text, unique=True),
    sa.Column("size", sa.BigInteger, nullable=False),
)
ADD = Prepared(sa.insert(things).values(name=sa.bindparam("name"), size=sa.bindparam("size")))
SMALLER = Prepared(
    sa.select(things.c.name, things.c.size)
    .where(things.c.size < sa.bindparam("size"))
    .order_by(things.c.size)
)
OFFSET = Prepared(sa.select(things.c.size + 5).where(things.c.name == sa.bindparam("name")))


def _set_size(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, things).values(name=sa.bindparam("name"), size=sa.bindparam("size"))
    return insert.on_conflict_do_update(index_elements=["name"], set_={"size": insert.excluded.size})


SET_SIZE = Prepared(_set_size)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database of each kind with one empty table."""
    if request.param == "sqlite":
        yield from _with_table(f"sqlite:///{tmp_path / 'file.db'}")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.fresh_database() as url:
        yield from _with_table(url)


def _with_table(url: str) -> Iterator[Database]:
    database = Database(url)
    things.create(database.engine)
    yield database
    database.dispose()


def test_rows_come_as_tuples(database: Database) -> None:
    """Values are bound by name, constants of the statement as well, and rows are plain tuples."""
    with database.write() as connection:
        ADD.many(connection, [{"name": "b", "size": 2}, {"name": "a", "size": 1}])
        ADD.many_tuples(connection, [("c", 3)])
    with database.read() as connection:
        assert SMALLER.all(connection, {"size": 3}) == [("a", 1), ("b", 2)]
        assert OFFSET.first(connection, {"name": "c"}) == (8,)
        assert OFFSET.first(connection, {"name": "nobody"}) is None


def test_a_statement_may_differ_by_database(database: Database) -> None:
    """An upsert is made in the words of each database, and tells what it changed."""
    with database.write() as connection:
        assert SET_SIZE.run(connection, {"name": "a", "size": 1}) == 1
        assert SET_SIZE.run(connection, {"name": "a", "size": 7}) == 1
        assert SMALLER.all(connection, {"size": 100}) == [("a", 7)]


def test_it_stands_in_the_transaction_of_the_connection(database: Database) -> None:
    """What raises in the block takes prepared writes back with it."""

    def add_and_fail() -> None:
        with database.write() as connection:
            ADD.run(connection, {"name": "a", "size": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    with database.read() as connection:
        assert SMALLER.all(connection, {"size": 100}) == []


def test_values_are_never_read_as_sql(database: Database) -> None:
    """A value with quotes and percent signs is a value."""
    odd = "'); drop table things; -- %s %(name)s ?"
    with database.write() as connection:
        ADD.run(connection, {"name": odd, "size": 1})
        assert SMALLER.all(connection, {"size": 2}) == [(odd, 1)]


def test_errors_are_those_of_every_statement(database: Database) -> None:
    """The driver's errors become SQLAlchemy's, and so Noria's."""
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        ADD.many(connection, [{"name": "a", "size": 1}, {"name": "a", "size": 2}])
    with pytest.raises(Invalid, match="does not fit"), translated(), database.write() as connection:
        ADD.run(connection, {"name": "b", "size": 1 << 70})


def test_rows_of_values_need_a_statement_without_constants(database: Database) -> None:
    """A statement that binds a constant of its own cannot take values by their place."""
    statement = Prepared(sa.update(things).values(size=7).where(things.c.name == sa.bindparam("name_")))
    with pytest.raises(TypeError, match="by name"), database.write() as connection:
        statement.many_tuples(connection, [("a",)])
