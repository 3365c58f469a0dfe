"""Sealing and verifying a real log, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.clock import ManualClock
from noria.core.database.engine import Database
from noria.core.events.chain import GENESIS, seal
from noria.core.events.checkpoints import CHECKPOINTS_FILE, FOLDER, KEY_FILE, Checkpoints
from noria.core.events.log import EventLog, EventType, append
from noria.core.events.sealer import CHECKPOINT_EVERY, Sealer, assign_positions
from noria.core.events.tables import events
from noria.core.events.verification import AuditReport, verify_log

HAPPENED = EventType("test.happened", "Something happened in a test")
START = datetime(2030, 1, 1, tzinfo=UTC)
CHANGE = sa.update(events)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """Give a migrated database."""
    opened = Database(migrated_url)
    yield opened
    opened.dispose()


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock(START)


@pytest.fixture
def sealer(database: Database, clock: ManualClock, tmp_path: Path) -> Sealer:
    """Give the sealer of a workspace."""
    return Sealer(database, clock, tmp_path)


def write(database: Database, clock: ManualClock, *subjects: str) -> None:
    """Append one event for each subject, each in a transaction of its own."""
    for subject in subjects:
        with database.write() as connection:
            append(connection, clock, actor="test", type=HAPPENED, subject=subject, payload={"figure": 0.1})


def tamper(database: Database, statement: sa.Executable) -> None:
    """Change the database behind the log's back."""
    with database.write() as connection:
        connection.execute(statement)


def check(database: Database, folder: Path) -> AuditReport:
    """Verify the log."""
    return verify_log(database, folder)


def test_a_sealed_log_verifies(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Every event is sealed once, the head is signed, and the report says how far both reach."""
    write(database, clock, *"abc")
    first = sealer.tick()
    again = sealer.tick()
    write(database, clock, "d")
    report = check(database, tmp_path)

    assert (first, again) == (3, 0)
    assert report.ok
    assert report.reason is None
    assert (report.n_sealed, report.n_checkpoints, report.checkpointed_to) == (3, 1, 3)


def test_an_empty_log_verifies(database: Database, sealer: Sealer, tmp_path: Path) -> None:
    """A log without events has nothing to seal and nothing wrong."""
    assert sealer.tick() == 0
    assert check(database, tmp_path).ok


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        (CHANGE.where(events.c.position == 2).values(subject="z"), 2),
        (CHANGE.where(events.c.position == 1).values(at=START + timedelta(microseconds=1)), 1),
        (CHANGE.where(events.c.position == 3).values(payload={"figure": 0.2}), 3),
        (sa.delete(events).where(events.c.position == 2), 2),
        (CHANGE.where(events.c.position == 1).values(hash=None), 1),
        (CHANGE.where(events.c.position == 4).values(actor="other"), 4),
    ],
)
def test_tampering_is_found_where_it_was_done(
    database: Database,
    clock: ManualClock,
    sealer: Sealer,
    tmp_path: Path,
    statement: sa.Executable,
    position: int,
) -> None:
    """An edit or a deletion in the database is named by its position."""
    write(database, clock, *"abcd")
    sealer.tick()
    tamper(database, statement)
    report = check(database, tmp_path)

    assert not report.ok
    assert report.broken_at == position
    assert f"{position}" in (report.reason or "")


def test_a_log_that_was_cut_off_is_found(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Deleting the newest events leaves a chain that holds; the checkpoint tells that there was more."""
    write(database, clock, *"abcd")
    sealer.tick()
    tamper(database, sa.delete(events).where(events.c.position >= 3))
    report = check(database, tmp_path)

    assert not report.ok
    assert report.broken_at == 3
    assert "missing" in (report.reason or "")


def test_an_emptied_log_is_found(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Deleting everything is found as well."""
    write(database, clock, "a")
    sealer.tick()
    tamper(database, sa.delete(events))

    assert check(database, tmp_path).broken_at == 1


def test_a_log_that_was_sealed_anew_is_found(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Who can compute the hashes but not sign is found by the checkpoint."""
    write(database, clock, *"abc")
    sealer.tick()
    tamper(database, CHANGE.where(events.c.position == 1).values(subject="z"))
    forged = EventLog(database).read(0)
    for event, hash_ in zip(forged, seal(GENESIS, forged), strict=True):
        tamper(database, CHANGE.where(events.c.position == event.position).values(hash=hash_))
    report = check(database, tmp_path)

    assert not report.ok
    assert report.broken_at == 3
    assert "signed" in (report.reason or "")


def test_a_forged_checkpoint_is_found(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """A checkpoint whose line was changed no longer fits its signature."""
    write(database, clock, *"abc")
    sealer.tick()
    path = tmp_path / FOLDER / CHECKPOINTS_FILE
    path.write_text(path.read_text().replace('"position":3', '"position":2'))
    report = check(database, tmp_path)

    assert not report.ok
    assert "Line 1" in (report.reason or "")


def test_a_lost_signing_key_is_told(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Without its key, the checkpoints prove nothing, and the report says so."""
    write(database, clock, "a")
    sealer.tick()
    (tmp_path / FOLDER / KEY_FILE).unlink()
    report = check(database, tmp_path)

    assert not report.ok
    assert "signing key" in (report.reason or "")


def test_only_the_owner_reads_the_signing_key(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """The key and the checkpoints are for the folder's owner alone."""
    write(database, clock, "a")
    sealer.tick()
    folder = tmp_path / FOLDER

    assert folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in sorted(folder.iterdir())] == [0, 0]


def test_checkpoints_come_at_intervals(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """The head is signed when it moved and a while has passed, and once more when the server stops."""
    written = Checkpoints(tmp_path)
    write(database, clock, "a")
    sealer.tick()
    write(database, clock, "b")
    sealer.tick()
    soon = [point.position for point in written.read()]
    clock.advance(CHECKPOINT_EVERY / timedelta(seconds=1))
    sealer.tick()
    later = [point.position for point in written.read()]
    write(database, clock, "c")
    sealer.tick()
    sealer.checkpoint(at_once=True)
    unchanged = sealer.checkpoint(at_once=True)

    assert soon == [1]
    assert later == [1, 2]
    assert [point.position for point in written.read()] == [1, 2, 3]
    assert unchanged is None


def test_a_sealer_that_rests_takes_up_what_comes(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """Between two ticks, and whichever other one sealed or noted something meanwhile."""
    other = Sealer(database, clock, tmp_path)
    sealed = []
    for type_ in "abc":
        write(database, clock, type_)
        sealed += [sealer.tick(), sealer.tick(), other.tick()]
        clock.advance(CHECKPOINT_EVERY / timedelta(seconds=1))
    write(database, clock, "d")
    assert (other.tick(), sealer.tick(), sealer.tick()) == (1, 0, 0)

    assert sealed == [1, 0, 0] * 3
    assert Checkpoints(tmp_path).last() is not None
    assert check(database, tmp_path).ok


@pytest.mark.parametrize("cut", [1, 40, 150])
def test_a_writer_killed_in_the_middle_of_a_checkpoint_does_no_harm(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path, cut: int
) -> None:
    """A line without end is passed over by readers and cut off by the next writer."""
    write(database, clock, "a")
    sealer.tick()
    path = tmp_path / FOLDER / CHECKPOINTS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    before = check(database, tmp_path)
    write(database, clock, "b")
    sealer.tick()
    sealer.checkpoint(at_once=True)
    after = check(database, tmp_path)

    assert (before.ok, before.n_checkpoints) == (True, 1)
    assert (after.ok, after.n_checkpoints) == (True, 2)


def test_a_long_backlog_is_sealed_over_several_ticks(
    database: Database, clock: ManualClock, sealer: Sealer, tmp_path: Path
) -> None:
    """However much is waiting, ticks go on where the last one stopped."""
    row = {"at": START, "actor": "test", "type": HAPPENED, "subject": "x", "payload": {}}
    with database.write() as connection:
        connection.execute(sa.insert(events), [{**row, "position": n} for n in range(1, 6001)])
    first = sealer.tick()
    rest = sealer.tick()
    report = check(database, tmp_path)

    assert (first, rest) == (5000, 1000)
    assert report.ok
    assert report.n_sealed == 6000


def test_sealers_at_once_share_the_work(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """Two sealers seal every event once, and the chain holds."""
    write(database, clock, *[str(n) for n in range(40)])
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(Sealer(database, clock, tmp_path).tick()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    report = check(database, tmp_path)

    assert sum(counts) == 40
    assert (report.ok, report.n_checkpoints) == (True, 1)


@pytest.mark.postgres
def test_no_position_passes_an_open_transaction(migrated_postgres_url: str, clock: ManualClock) -> None:
    """An event gets its position only when no earlier transaction is open, so a cursor misses nothing."""
    database = Database(migrated_postgres_url)
    log = EventLog(database)
    with database.write() as slow:
        append(slow, clock, actor="slow", type=HAPPENED, subject="slow")
        write(database, clock, "quick")
        during = assign_positions(database)
        seen_during = log.read(0)
    after = assign_positions(database)
    seen_after = log.read(0)
    with database.engine.connect() as undone, undone.begin() as transaction:
        append(undone, clock, actor="undone", type=HAPPENED, subject="undone")
        transaction.rollback()
    write(database, clock, "last")
    at_last = assign_positions(database)
    positions = [(event.position, event.subject) for event in log.read(0)]
    database.dispose()

    assert (during, seen_during) == (0, [])
    assert after == 2
    assert [event.subject for event in seen_after] == ["slow", "quick"]
    assert at_last == 1
    assert positions == [(1, "slow"), (2, "quick"), (3, "last")]
