"""The database between threads and processes, on a full disk, and at the very first opening."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.core.database.migrate import is_current
from noria.core.errors import NoriaError, StorageFull
from support.conformance import workspace_settings
from support.disks import tiny_disk

NOTES = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text),
)
COUNT = sa.select(sa.func.count()).select_from(NOTES)

ADD = """
import sys
import sqlalchemy as sa
from noria.core.database.engine import Database

database = Database(sys.argv[1])
sys.stdin.read()
for _ in range(int(sys.argv[2])):
    with database.write(durable=True) as connection:
        lock = "" if database.is_sqlite else " for update"
        seen = connection.execute(sa.text("select text from notes where n = 0" + lock)).scalar_one()
        connection.execute(sa.text("update notes set text = :t where n = 0"), {"t": str(int(seen) + 1)})
"""

OPEN = """
import sys
from pathlib import Path
from noria.core.clock import SystemClock
from noria.core.workspace import open_context
from support.conformance import workspace_settings

settings = workspace_settings(Path(sys.argv[1]), sys.argv[2])
sys.stdin.read()
context = open_context(settings, SystemClock())
context.database.dispose()
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    with opened.write() as connection:
        NOTES.create(connection)
        connection.execute(NOTES.insert().values(n=0, text="0"))
    yield opened
    opened.dispose()


def counter(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(NOTES.c.text).where(NOTES.c.n == 0)).scalar_one())


def run_at_once(program: str, arguments: list[list[str]]) -> list[str]:
    """Start a program several times, let all go together, and give what each complained of."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *each],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for each in arguments
    ]
    for process in started:  # they wait for the end of their input
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = [process.communicate(timeout=120)[1] for process in started]
    return [
        text or f"exit {process.returncode}"
        for text, process in zip(said, started, strict=True)
        if process.returncode
    ]


def test_a_reader_cannot_write(database: Database) -> None:
    """On either database."""
    with pytest.raises((NoriaError, sa.exc.DBAPIError)), database.read() as connection:
        connection.execute(NOTES.insert().values(n=1))

    with database.read() as connection:
        assert connection.execute(COUNT).scalar_one() == 1


def test_a_reader_sees_one_state(database: Database) -> None:
    """What is committed meanwhile appears to the next reader only; the reader's connection writes afterwards."""
    with database.read() as connection:
        before = connection.execute(COUNT).scalar_one()
        with database.write() as writer:
            writer.execute(NOTES.insert().values(n=1))
        during = connection.execute(COUNT).scalar_one()
    with database.read() as connection:
        after = connection.execute(COUNT).scalar_one()
    for n in range(2, 30):  # more than there are connections: one that was read with is written with
        with database.write() as writer:
            writer.execute(NOTES.insert().values(n=n))

    assert (before, during, after) == (1, 1, 2)


@pytest.mark.postgres
def test_what_a_read_prepared_serves_the_next(postgres_url: str) -> None:
    """A read ends so that neither the driver nor PostgreSQL forgets the statements that were prepared in it."""
    opened = Database(postgres_url)
    for _ in range(2):
        with opened.read() as connection:
            connection.begin()
            driver: Any = connection.connection
            driver.cursor().execute("select 40 + %s", (2,), prepare=True)
    with opened.read() as connection:
        prepared = connection.execute(
            sa.text("select count(*) from pg_prepared_statements where statement like 'select 40 + %'")
        ).scalar_one()
    opened.dispose()

    assert prepared == 1


def test_many_readers_and_a_writer_at_once(database: Database) -> None:
    """Readers never wait for a writer that is in the middle of a block."""
    seen: list[int] = []
    with database.write() as writer:
        writer.execute(NOTES.update().values(text="9"))
        threads = [threading.Thread(target=lambda: seen.append(counter(database))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert seen == [0] * 12
    assert counter(database) == 9


def test_processes_that_write_follow_one_another(database: Database) -> None:
    """None fails with `database is locked`, and no update is lost."""
    url = database.url.render_as_string(hide_password=False)
    complaints = run_at_once(ADD, [[url, "40"]] * 4)

    assert complaints == []
    assert counter(database) == 160


def test_processes_that_open_a_new_workspace_at_once(database_url: str, tmp_path: Path) -> None:
    """One of them makes the schema; the others wait for it and find it made."""
    complaints = run_at_once(OPEN, [[str(tmp_path / "workspace"), database_url]] * 3)
    database = Database(database_url)
    current = is_current(database)
    database.dispose()

    assert complaints == []
    assert current


def test_servers_of_two_folders_that_open_a_new_postgresql_at_once(postgres_url: str, tmp_path: Path) -> None:
    """The lock of a folder says nothing about another folder; the database's own does."""
    complaints = run_at_once(OPEN, [[str(tmp_path / name), postgres_url] for name in "abc"])
    database = Database(postgres_url)
    current = is_current(database)
    database.dispose()

    assert complaints == []
    assert current


def test_a_full_disk_keeps_nothing_of_the_block(tmp_path: Path) -> None:
    """The error says so; what was there stays whole; with room again, the same connection writes on."""
    with tiny_disk(tmp_path / "disk", "size=2m") as disk:
        database = Database(f"sqlite:///{disk / 'noria.db'}")
        with database.write() as connection:
            NOTES.create(connection)
            connection.execute(NOTES.insert().values(n=0, text="kept"))
        ballast = disk / "ballast"
        fill(ballast)

        with pytest.raises(StorageFull, match="disk of the database is full"):
            write_much(database)
        with database.read() as connection:
            rows = connection.execute(sa.select(NOTES)).all()
        ballast.unlink()
        with database.write(durable=True) as connection:
            connection.execute(NOTES.insert().values(n=1, text="after"))
        with database.read() as connection:
            sound = connection.exec_driver_sql("pragma integrity_check").scalar_one()
            later = connection.execute(COUNT).scalar_one()
        database.dispose()

    assert rows == [(0, "kept")]
    assert (sound, later) == ("ok", 2)


def test_a_workspace_on_a_full_disk_is_not_half_made(tmp_path: Path) -> None:
    """Opening it fails with the mend; with room again, it opens."""
    from noria.core.clock import SystemClock
    from noria.core.workspace import open_context

    with tiny_disk(tmp_path / "disk", "size=1m") as disk:
        settings = workspace_settings(disk / "workspace")
        ballast = disk / "ballast"
        (disk / "workspace").mkdir()
        fill(ballast, leave_bytes=80_000)

        with pytest.raises(StorageFull):
            open_context(settings, SystemClock())
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        context = open_context(settings, SystemClock())
        current = is_current(context.database)
        context.database.dispose()

    assert current


def write_much(database: Database) -> None:
    with database.write(durable=True) as connection:
        for n in range(1, 2000):
            connection.execute(NOTES.insert().values(n=n, text="x" * 2000))


def fill(path: Path, leave_bytes: int = 0) -> None:
    """Take all room of a disk but `leave_bytes`."""
    with path.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(max(0, path.stat().st_size - leave_bytes))
