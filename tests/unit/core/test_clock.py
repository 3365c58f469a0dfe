"""Clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from noria.core.clock import ManualClock, SystemClock

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_manual_clock_moves_only_when_told() -> None:
    """Sleeping moves it at once, and both readings move alike."""
    clock = ManualClock(START)
    first = (clock.now(), clock.monotonic())
    clock.sleep(1.5)
    clock.advance(0.5)

    assert first == (START, 0.0)
    assert clock.now() == START + timedelta(seconds=2)
    assert clock.monotonic() == 2.0


def test_the_system_clock_is_in_utc() -> None:
    """Its instants lie between two readings of the machine's own, and its seconds never run backwards."""
    clock = SystemClock()
    before, read, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    first, second = clock.monotonic(), clock.monotonic()

    assert before <= read <= after
    assert read.utcoffset() == timedelta(0)
    assert first <= second
