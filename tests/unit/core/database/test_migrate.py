"""Migrations of a SQLite database: copies, room, versions, names."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.core.database.migrate import (
    DatabaseFromTheFuture,
    _scripts,
    applied_revisions,
    is_current,
    migrate,
    upgrade,
)
from noria.core.database.revisions import heads, known_revisions
from noria.core.database.sqlite import around
from noria.core.errors import StorageFull

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "noria.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.dispose()


def copies(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.glob("*.before-*"))


def test_the_heads_are_those_that_alembic_finds() -> None:
    """They are read from the text of the files, since importing Alembic costs every command."""
    _, scripts = _scripts()
    alone = {
        revision.revision
        for revision in scripts.walk_revisions()
        if not any(
            revision.revision in (*other._all_down_revisions, *(other._resolved_dependencies or ()))
            for other in scripts.walk_revisions()
        )
    }

    assert heads() == alone


def test_every_file_of_migrations_is_known_under_its_name() -> None:
    """`0001_name.py` of a capability is the revision `<capability>_0001`."""
    _, scripts = _scripts()
    found = {revision.revision: Path(revision.path).name[:4] for revision in scripts.walk_revisions()}
    known = {name for names in known_revisions().values() for name in names}

    assert known == set(found)
    assert all(name.endswith(f"_{number}") for name, number in found.items())


def test_a_new_database_is_made_without_a_copy(database: Database, path: Path) -> None:
    """There was nothing to copy; it is current afterwards, and a second look does nothing."""
    assert not is_current(database)
    assert migrate(database, now=NOW) is None
    assert is_current(database)
    assert applied_revisions(database) == heads()
    assert migrate(database, now=NOW, exclusive=_never) is None
    assert copies(path) == []


def test_a_current_database_needs_no_lock(database: Database) -> None:
    """A command does not wait for a running server when there is nothing to do."""
    migrate(database, now=NOW)

    assert migrate(database, now=NOW, exclusive=_never) is None


def test_another_process_may_have_been_faster(database: Database, path: Path) -> None:
    """What is needed is looked at again once the lock is held."""
    upgrade(database, "core_0001")

    @contextlib.contextmanager
    def waiting() -> Iterator[None]:
        migrate(database, now=NOW)
        yield

    assert migrate(database, now=NOW + timedelta(hours=1), exclusive=waiting) is None
    assert len(copies(path)) == 1


def test_a_database_with_data_is_copied_first(database: Database, path: Path) -> None:
    """The copy is a whole database as it was, named by the time."""
    upgrade(database, "core_0001")
    with database.write() as connection:
        connection.execute(sa.text("insert into event_cursors values ('r', 7)"))
    copy = migrate(database, now=NOW)

    assert copy == path.with_name("noria.db.before-20260102T030405000678")
    with contextlib.closing(sqlite3.connect(copy)) as before:
        assert before.execute("select * from event_cursors").fetchall() == [("r", 7)]
        assert before.execute("select version_num from alembic_version").fetchall() == [("core_0001",)]
        assert before.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert is_current(database)


def test_three_copies_are_kept(database: Database, path: Path) -> None:
    """The newest; the rest go."""
    upgrade(database, "core_0001")
    for hour in range(4):
        path.with_name(f"noria.db.before-20250101T0{hour}0000000000").write_bytes(b"old")
    path.with_name("another.db.before-20240101T000000000000").write_bytes(b"not ours")
    migrate(database, now=NOW)

    assert copies(path) == [
        "another.db.before-20240101T000000000000",
        "noria.db.before-20250101T020000000000",
        "noria.db.before-20250101T030000000000",
        "noria.db.before-20260102T030405000678",
    ]


def test_without_room_nothing_is_changed(database: Database, path: Path) -> None:
    """The error says how much is needed and how much there is."""
    upgrade(database, "core_0001")
    with pytest.raises(StorageFull, match="1000 are free") as caught:
        migrate(database, now=NOW, room=lambda _: 1000)

    assert "nothing was changed" in str(caught.value.hint)
    assert applied_revisions(database) == {"core_0001"}
    assert copies(path) == []
    assert migrate(database, now=NOW, room=lambda _: 1 << 30) is not None


def test_what_is_not_in_the_file_yet_counts(database: Database, path: Path) -> None:
    """The write-ahead log is part of the size."""
    upgrade(database, "core_0001")
    with database.read() as reader:  # keeps the log from being folded into the file
        reader.execute(sa.text("select count(*) from events"))
        with database.write() as connection:
            connection.execute(sa.text("insert into event_cursors values (:r, 1)"), {"r": "x" * 3_000_000})
        needed = 2 * sum(found.stat().st_size for found in (path, path.with_name("noria.db-wal"))) + (1 << 20)

        with pytest.raises(StorageFull, match=f"needs {needed} bytes"):
            migrate(database, now=NOW, room=lambda _: needed - 1)

    assert needed > 6_000_000


def test_a_migration_that_fails_leaves_nothing(database: Database) -> None:
    """All migrations are one transaction: those before the failing one are undone too."""
    with database.write() as connection:
        connection.execute(sa.text("create table datasets (odd integer)"))
    with pytest.raises(sa.exc.SQLAlchemyError), _as_raised():
        migrate(database, now=NOW)

    with database.read() as connection:
        assert sa.inspect(around(connection)).get_table_names() == ["datasets"]


@pytest.mark.parametrize("revision", ["core_0999", "unheard_0001", "nonsense"])
def test_a_database_from_the_future_stops(database: Database, path: Path, revision: str) -> None:
    """The message names what is not known, the hint is the command; nothing is touched."""
    migrate(database, now=NOW)
    with database.write() as connection:
        connection.execute(sa.text("insert into alembic_version values (:r)"), {"r": revision})
    with pytest.raises(DatabaseFromTheFuture, match=f"`{revision}`") as caught:
        migrate(database, now=NOW, exclusive=_never)

    assert caught.value.hint == "pip install --upgrade noria"
    assert caught.value.details == {"unknown": [revision]}
    assert copies(path) == []


@contextlib.contextmanager
def _never() -> Iterator[None]:
    raise AssertionError("the lock was taken although there was nothing to do")
    yield


@contextlib.contextmanager
def _as_raised() -> Iterator[None]:
    """Give what the database said, also when it came as an error of this house."""
    try:
        yield
    except Exception as error:
        if isinstance(error.__cause__, sa.exc.SQLAlchemyError):
            raise error.__cause__ from None
        raise
