"""What migrations build: the same as the tables say, and the same as is written down in `schemas/`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from noria._version import __version__
from noria.core.database.engine import Database
from noria.core.database.migrate import applied_revisions, migrate, upgrade
from noria.core.database.revisions import heads, known_revisions
from noria.core.database.schema import whole_metadata
from noria.core.database.sqlite import around
from support.everything import import_everything
from support.postgres import PostgresServer
from support.schema import dump_schema, expressions_passed_over, facts_of, load_schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMAS = Path(__file__).parent / "schemas"
REVISIONS = [revision for revisions in known_revisions().values() for revision in revisions]
RELEASES = sorted(path.name for path in SCHEMAS.iterdir())


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give an empty database."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def built(database: Database) -> Database:
    """Give a database that migrations built."""
    upgrade(database, "heads")
    return database


class Today(dict[bool, dict[str, Any]]):
    """The schema of a new database, built when it is first asked for; by whether it is SQLite."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        super().__init__()
        self._folder, self._request = folder, request

    def __missing__(self, is_sqlite: bool) -> dict[str, Any]:
        if is_sqlite:
            self[True] = self._built(f"sqlite:///{self._folder / 'today.db'}")
        else:
            server: PostgresServer = self._request.getfixturevalue("postgres_server")
            with server.fresh_database() as url:
                self[False] = self._built(url)
        return self[is_sqlite]

    def _built(self, url: str) -> dict[str, Any]:
        database = Database(url)
        upgrade(database, "heads")
        facts = facts_of(database)
        database.dispose()
        return facts


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Today:
    """Give the schemas of new databases."""
    return Today(tmp_path_factory.mktemp("today"), request)


def written_down(release: str, database: Database) -> Path:
    return SCHEMAS / release / ("sqlite.sql" if database.is_sqlite else "postgres.sql")


def clear(database: Database) -> None:
    """Drop everything."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("pragma defer_foreign_keys=on")
        reflected = sa.MetaData()
        with expressions_passed_over():
            reflected.reflect(around(connection))
        reflected.drop_all(connection)


def test_the_tables_are_what_migrations_build(built: Database) -> None:
    """Columns, keys, indexes and checks of every `tables.py`, on either database."""
    import_everything()
    migrated = facts_of(built)
    clear(built)
    with built.write() as connection:
        whole_metadata().create_all(connection)
    declared = facts_of(built)

    assert sorted(migrated) == sorted(declared)
    for table, facts in declared.items():
        assert migrated[table] == facts, table
    assert len(declared) >= 20


def test_the_schema_is_written_down(built: Database, tmp_path: Path) -> None:
    """A reviewer sees the SQL of a change; the message has the command that writes it down."""
    current = dump_schema(built)
    known = written_down(__version__, built)
    fresh = tmp_path / known.name
    fresh.write_text(current)

    assert known.exists(), f"mkdir -p {known.parent} && cp {fresh} {known}"
    assert known.read_text() == current, f"cp {fresh} {known}"


@pytest.mark.parametrize("release", RELEASES)
def test_a_database_of_each_release_is_upgraded_with_its_data(
    database: Database, release: str, today: Today
) -> None:
    """What was stored by an older version is there afterwards, and the schema is today's."""
    load_schema(database, written_down(release, database).read_text())
    store_something(database)
    migrate(database, now=NOW)

    assert applied_revisions(database) == heads()
    assert_something(database)
    assert facts_of(database) == today[database.is_sqlite]


# Each release is tried on both databases every time; every single step on PostgreSQL takes minutes.
@pytest.mark.parametrize(
    "database_url",
    ["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.soak])],
    indirect=True,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_is_a_place_to_go_on_from(database: Database, revision: str, today: Today) -> None:
    """From whichever revision a database stands at, with data of the ground floor, it comes to today's schema."""
    upgrade(database, revision)
    store_something(database)
    migrate(database, now=NOW)

    assert applied_revisions(database) == heads()
    assert_something(database)
    assert facts_of(database) == today[database.is_sqlite]


EVENT = {"at": 1, "actor": "local", "type": "test.happened", "subject": "test:1", "payload": '{"a":1}'}


def store_something(database: Database) -> None:
    """Write rows of the ground floor, which every database has, in words of SQL: today's tables are no help."""
    with database.write() as connection:
        connection.execute(
            sa.text(
                "insert into events (at, actor, type, subject, payload) values (:at, :actor, :type, :subject, :payload)"
            ),
            EVENT,
        )
        connection.execute(sa.text("insert into event_cursors (reader, position) values ('r', 7)"))
        upload = (
            "insert into object_references (project, digest, owner, size_bytes, at)"
            " values ('default', 'blake3:00', 'upload', 3, 9)"
        )
        if sa.inspect(around(connection)).has_table("project_objects"):
            upload = (
                "insert into project_objects (project, digest, size_bytes, at)"
                " values ('default', 'blake3:00', 3, 9)"
            )
        connection.execute(sa.text(upload))


def assert_something(database: Database) -> None:
    """Check that those rows are there."""
    with database.read() as connection:
        event = (
            connection.execute(sa.text("select at, actor, type, subject, payload from events"))
            .mappings()
            .one()
        )
        cursor = connection.execute(sa.text("select reader, position from event_cursors")).one()
        reference = connection.execute(sa.text("select digest, size_bytes from project_objects")).one()

    assert dict(event) == EVENT
    assert tuple(cursor) == ("r", 7)
    assert tuple(reference) == ("blake3:00", 3)
