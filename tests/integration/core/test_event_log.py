"""Appending to the event log, reading it in pages, and readers' cursors, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from noria.core.clock import ManualClock
from noria.core.database.engine import Database
from noria.core.events.log import Event, EventLog, EventType, append
from noria.core.events.sealer import assign_positions

START = datetime(2030, 1, 1, tzinfo=UTC)
MADE = EventType("test.made", "Something was made in a test")
ENDED = EventType("test.ended", "Something ended in a test")


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """Give a migrated database."""
    opened = Database(migrated_url)
    yield opened
    opened.dispose()


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database)


def happen(database: Database, *subjects: str, kind: EventType = MADE, project: str | None = "p") -> None:
    """Append an event for each subject, each in a transaction of its own, and give them their positions."""
    for subject in subjects:
        with database.write() as connection:
            append(
                connection,
                ManualClock(START),
                actor="ann",
                type=kind,
                subject=subject,
                project=project,
                payload={"of": subject},
            )
    assign_positions(database)


def subjects(found: list[Event]) -> list[str]:
    return [event.subject for event in found]


def test_an_empty_log(log: EventLog) -> None:
    """Has no newest event, and a new reader stands at its beginning."""
    assert log.read(0) == []
    assert log.latest() == []
    assert log.last_position() == 0
    assert log.cursor("anyone") == 0


def test_an_event_is_read_as_it_was_appended(database: Database, log: EventLog) -> None:
    """With the time of the clock that was passed in."""
    happen(database, "a:1")

    assert log.read(0) == [
        Event(
            position=1,
            at=START,
            actor="ann",
            project="p",
            type="test.made",
            subject="a:1",
            payload={"of": "a:1"},
            hash=None,
        )
    ]


def test_a_change_that_is_undone_leaves_no_event(database: Database, log: EventLog) -> None:
    """Event and change are one transaction."""
    with pytest.raises(KeyError), database.write() as connection:  # noqa: PT012 - the block is what is undone
        append(connection, ManualClock(START), actor="ann", type=MADE, subject="a:1")
        raise KeyError("in the middle")
    happen(database, "a:2")

    assert subjects(log.read(0)) == ["a:2"]
    assert log.last_position() == 1


def test_the_newest_of_each_type_is_told(database: Database, log: EventLog) -> None:
    """Of what came after a position."""
    happen(database, "a:1", "a:2")
    happen(database, "a:3", kind=ENDED)
    happen(database, "a:4")

    assert log.newest_by_type(0) == {"test.made": 4, "test.ended": 3}
    assert log.newest_by_type(3) == {"test.made": 4}
    assert log.newest_by_type(4) == {}


def test_several_events_of_one_transaction_keep_their_order(database: Database, log: EventLog) -> None:
    """As they were appended."""
    with database.write() as connection:
        for number in range(5):
            append(connection, ManualClock(START), actor="ann", type=MADE, subject=f"a:{number}")
    assign_positions(database)

    assert [(e.position, e.subject) for e in log.read(0)] == [(n + 1, f"a:{n}") for n in range(5)]


def test_pages_follow_one_another(database: Database, log: EventLog) -> None:
    """Without gap or repetition, whatever the size of a page."""
    happen(database, *(f"a:{number}" for number in range(7)))
    read: list[Event] = []
    while page := log.read(read[-1].position if read else 0, limit=3):
        assert len(page) <= 3
        read += page

    assert subjects(read) == [f"a:{number}" for number in range(7)]
    assert [event.position for event in read] == list(range(1, 8))


@pytest.mark.parametrize("limit", [0, -5, 1])
def test_a_page_has_one_event_at_least(database: Database, log: EventLog, limit: int) -> None:
    """A senseless limit is taken for the least one, so that whoever reads on gets on."""
    happen(database, "a:1", "a:2")

    assert subjects(log.read(0, limit=limit)) == ["a:1"]


def test_events_are_chosen_by_type_subject_and_project(database: Database, log: EventLog) -> None:
    """Each alone, and together."""
    happen(database, "a:1", "a:2")
    happen(database, "a:1", kind=ENDED)
    happen(database, "a:1", project="q")
    happen(database, "a:3", project=None)

    assert [e.position for e in log.read(0, types=["test.made"])] == [1, 2, 4, 5]
    assert [e.position for e in log.read(0, types=["test.made", "test.ended"])] == [1, 2, 3, 4, 5]
    assert [e.position for e in log.read(0, types=[])] == []
    assert [e.position for e in log.read(0, subject="a:1")] == [1, 3, 4]
    assert [e.position for e in log.read(0, project="p")] == [1, 2, 3]
    assert [e.position for e in log.read(1, types=["test.made"], subject="a:1", project="q")] == [4]


def test_the_latest_come_first(database: Database, log: EventLog) -> None:
    """For whoever wants to know what happened just now."""
    happen(database, *(f"a:{number}" for number in range(5)))

    assert subjects(log.latest(limit=2)) == ["a:4", "a:3"]


def test_a_cursor_moves_forward_only(database: Database, log: EventLog) -> None:
    """A reader that repeats itself after a crash does not go back; readers do not share cursors."""
    happen(database, "a:1", "a:2")
    log.advance("one", 2)
    log.advance("one", 1)
    log.advance("other", 1)

    assert (log.cursor("one"), log.cursor("other"), log.cursor("third")) == (2, 1, 0)


def test_readers_that_advance_at_once_leave_the_furthest(log: EventLog) -> None:
    """Whoever comes last."""
    threads = [threading.Thread(target=log.advance, args=("one", position)) for position in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert log.cursor("one") == 20


def test_writers_at_once_give_every_event_one_position(database: Database, log: EventLog) -> None:
    """Positions are 1 to n, each once, and each writer's events stand in its own order."""

    def write(name: str) -> None:
        for number in range(10):
            with database.write() as connection:
                append(connection, ManualClock(START), actor=name, type=MADE, subject=f"{name}:{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assign_positions(database)
    found = log.read(0, limit=1000)

    assert [event.position for event in found] == list(range(1, 41))
    for name in "abcd":
        assert [e.subject for e in found if e.actor == name] == [f"{name}:{number}" for number in range(10)]
