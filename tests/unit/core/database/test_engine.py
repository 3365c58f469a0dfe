"""Connections to SQLite, and addresses of databases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.core.database.prepared import Prepared
from noria.core.errors import ConfigInvalid, Corrupt, Invalid, Unavailable

NOTES = sa.Table(
    "notes", sa.MetaData(), sa.Column("n", sa.BigInteger, primary_key=True), sa.Column("text", sa.Text)
)
COUNT = sa.select(sa.func.count()).select_from(NOTES)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'noria.db'}")
    with opened.write() as connection:
        NOTES.create(connection)
    yield opened
    opened.dispose()


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


class TestAddress:
    """What names a database."""

    @pytest.mark.parametrize(
        "url", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg2://u:p@h/d"]
    )
    def test_postgresql_gets_the_driver_that_comes_with_noria(self, url: str) -> None:
        """However its scheme is written."""
        pytest.importorskip("psycopg")
        database = Database(url)
        database.dispose()

        assert database.url.drivername == "postgresql+psycopg"
        assert database.path is None

    @pytest.mark.parametrize("url", ["nonsense", "", "sqlite", "//x"])
    def test_what_is_no_address(self, url: str) -> None:
        """The hint shows the forms."""
        with pytest.raises(ConfigInvalid, match="cannot be read") as caught:
            Database(url)

        assert "sqlite:///" in str(caught.value.hint)

    @pytest.mark.parametrize("url", ["mysql://u@h/d", "oracle://u@h/d"])
    def test_another_database(self, url: str) -> None:
        """Is named."""
        with pytest.raises(ConfigInvalid, match="does not run on"):
            Database(url)

    @pytest.mark.parametrize(
        "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"]
    )
    def test_a_database_in_memory(self, url: str) -> None:
        """Would be another one for each connection."""
        with pytest.raises(ConfigInvalid, match="in memory"):
            Database(url)

    def test_a_password_is_not_shown(self) -> None:
        """An address of the wrong kind is named without it."""
        with pytest.raises(ConfigInvalid) as caught:
            Database("mysql://user:hunter2@host/d")

        assert "hunter2" not in str(caught.value.to_body())


class TestSettings:
    """How SQLite is opened."""

    @pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
    def test_durability(self, database: Database, durable: bool, level: int) -> None:
        """A durable write is flushed at commit (FULL, 2), another one at the next checkpoint (NORMAL, 1)."""
        for _ in range(2):
            with database.write(durable=not durable):
                pass
            with database.write(durable=durable) as connection:
                assert connection.exec_driver_sql("pragma synchronous").scalar_one() == level

    def test_the_journal_is_written_ahead(self, database: Database) -> None:
        """So that readers never wait for the writer."""
        with database.read() as connection:
            assert connection.exec_driver_sql("pragma journal_mode").scalar_one() == "wal"

    def test_foreign_keys_hold(self, database: Database) -> None:
        """For readers and for the writer."""
        with database.write() as writer, database.read() as reader:
            for connection in (writer, reader):
                assert connection.exec_driver_sql("pragma foreign_keys").scalar_one() == 1


class TestReading:
    """Readers."""

    def test_a_reader_cannot_write(self, database: Database) -> None:
        """By mistake or on purpose."""
        with pytest.raises(Unavailable, match="readonly"), database.read() as connection:
            connection.execute(NOTES.insert().values(n=1))

        assert count(database) == 0

    def test_a_reader_sees_one_state(self, database: Database) -> None:
        """What is committed meanwhile appears to the next reader only."""
        with database.read() as connection:
            before = connection.execute(COUNT).scalar_one()
            with database.write() as writer:
                writer.execute(NOTES.insert().values(n=1))
            during = connection.execute(COUNT).scalar_one()

        assert (before, during, count(database)) == (0, 0, 1)

    def test_a_glance_sees_what_was_committed_before_it(self, database: Database) -> None:
        """And leaves nothing open behind it, after which the next one would see old rows."""
        statement = Prepared(COUNT)
        for expected in range(3):
            with database.glance() as connection:
                assert statement.first(connection, {}) == (expected,)
            with database.write() as writer:
                writer.execute(NOTES.insert().values(n=expected))

    def test_the_first_row_of_a_statement_alone_is_that_of_the_moment(self, database: Database) -> None:
        """None where there is none; constants of the statement are bound."""
        statement = Prepared(sa.select(NOTES.c.n).order_by(NOTES.c.n.desc()).limit(1))
        assert database.first(statement) is None
        for n in range(1, 3):
            with database.write() as writer:
                writer.execute(NOTES.insert().values(n=n))
            assert database.first(statement) == (n,)

    def test_a_look_that_fails_leaves_a_database_that_can_be_read(self, database: Database) -> None:
        """As often as there are connections to lend."""
        absent = Prepared(sa.select(sa.table("absent", sa.column("n"))))
        for _ in range(20):
            with pytest.raises(Exception, match="absent"), database.glance() as connection:
                absent.first(connection, {})

        assert database.first(Prepared(COUNT)) == (0,)


class TestWriting:
    """The writer."""

    def test_a_block_that_raises_leaves_nothing(self, database: Database) -> None:
        """All of it is undone, and what it raised passes through."""
        with contextlib.suppress(KeyError), database.write() as connection:
            connection.execute(NOTES.insert().values(n=1))
            raise KeyError("in the middle")

        assert count(database) == 0

    def test_threads_follow_one_another(self, database: Database) -> None:
        """Each reads what the last one wrote: no update is lost, and none fails."""
        with database.write() as connection:
            connection.execute(NOTES.insert().values(n=0, text="0"))

        def add() -> None:
            for _ in range(25):
                with database.write() as connection:
                    seen = int(connection.execute(sa.select(NOTES.c.text)).scalar_one())
                    connection.execute(NOTES.update().values(text=str(seen + 1)))

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with database.read() as connection:
            assert connection.execute(sa.select(NOTES.c.text)).scalar_one() == "200"

    def test_inserts_know_conflicts(self, database: Database) -> None:
        """The dialect's own insert."""
        with database.write() as connection:
            for text in ("a", "b"):
                insert = database.insert(NOTES).values(n=1, text=text)
                connection.execute(insert.on_conflict_do_update(index_elements=["n"], set_={"text": text}))
            assert connection.execute(sa.select(NOTES.c.text)).scalars().all() == ["b"]

    def test_a_value_that_does_not_fit_is_named(self, database: Database) -> None:
        """An integer of more than 64 bits is the caller's mistake."""
        with pytest.raises(Invalid, match="does not fit"), database.write() as connection:
            connection.execute(NOTES.insert().values(n=2**70))


class TestDamage:
    """Files that are no database."""

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        """Is damaged for us; the hint says where copies are."""
        (tmp_path / "noria.db").write_bytes(b"not a database at all" * 100)
        database = Database(f"sqlite:///{tmp_path / 'noria.db'}")
        with pytest.raises(Corrupt, match="damaged") as caught, database.read() as connection:
            connection.execute(sa.text("select * from sqlite_master"))
        database.dispose()

        assert ".before-" in str(caught.value.hint)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """The database does not answer."""
        database = Database(f"sqlite:///{tmp_path / 'missing' / 'noria.db'}")
        with pytest.raises(Unavailable, match="unable to open"), database.write():
            pass
        database.dispose()
