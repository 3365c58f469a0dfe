"""New databases that are made at once: the same as migrations make of nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.core.database.engine import Database
from noria.core.database.migrate import applied_revisions, upgrade
from noria.core.database.new_database import FILE, make_new, written
from noria.core.database.revisions import heads


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a database that migrations made."""
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'noria.db'}")
    upgrade(opened, "heads")
    yield opened
    opened.dispose()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    """Give an empty database."""
    opened = Database(f"sqlite:///{tmp_path / 'noria.db'}")
    yield opened
    opened.dispose()


def all_of(database: Database) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Give everything that a file holds: what SQLite says of it, and its rows without ids and moments."""
    assert database.path is not None
    with sqlite3.connect(database.path) as file:
        schema = {
            (kind, name): " ".join((sql or "").split())
            for kind, name, sql in file.execute("select type, name, sql from sqlite_master")
        }
        tables = [name for kind, name in schema if kind == "table"]
        rows = {}
        for name in tables:
            found = file.execute(f'select * from "{name}"')  # noqa: S608 - a name of the schema
            rows[name] = sorted(repr([_own(value) for value in row]) for row in found)
        assert file.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert file.execute("pragma foreign_key_check").fetchall() == []
        assert file.execute("pragma journal_mode").fetchall() == [("wal",)]
    return schema, rows


def _own(value: object) -> object:
    if isinstance(value, str) and len(value) == 32:
        return "an id"
    return "a moment" if isinstance(value, int) and value > 10**12 else value


def test_a_new_database_is_what_migrations_make_of_nothing(migrated: Database, empty: Database) -> None:
    """Tables, indexes, checks, revisions and first rows."""
    text = written(migrated)

    assert FILE.read_text() == text, "Migrations changed: python tools/make_schema.py"
    assert make_new(empty, heads=heads())
    assert all_of(empty) == all_of(migrated)
    assert applied_revisions(empty) == heads()
    assert written(empty) == text


def test_each_new_database_has_ids_of_its_own(empty: Database, tmp_path: Path) -> None:
    """Two workspaces are never taken for one another."""
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    found: list[str] = []
    for database in (empty, other):
        make_new(database, heads=heads())
        with database.read() as connection:
            ids = connection.exec_driver_sql("select id from projects union all select id from experiments")
            found += ids.scalars().all()
    other.dispose()

    assert len(set(found)) == 4
    assert all(len(each) == 32 for each in found)


def test_what_is_of_other_revisions_or_not_empty_is_left_to_migrations(empty: Database) -> None:
    """Nothing is made then."""
    assert not make_new(empty, heads={*heads(), "tracking_9999"})
    with empty.write() as connection:
        assert connection.exec_driver_sql("select count(*) from sqlite_master").scalar() == 0
        connection.exec_driver_sql("create table mine (n int)")
    assert not make_new(empty, heads=heads())


def test_one_that_fails_leaves_nothing(empty: Database) -> None:
    """It is made in one transaction."""
    broken = FILE.read_text() + ";\n\ninsert into nowhere (n) values (1)"
    with pytest.raises(Exception, match="nowhere"):
        make_new(empty, heads=heads(), text=broken)
    with empty.read() as connection:
        assert connection.exec_driver_sql("select count(*) from sqlite_master").scalar() == 0
