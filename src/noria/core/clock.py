"""Time as a value that is passed in, so that nothing in the house reads the wall clock by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """Give the present instant in UTC, with microseconds."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never run backwards; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the present instant in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is told to move, for tests and replays."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Give the instant that this clock was moved to."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Give the seconds that this clock was moved by."""
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        """Move at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move this clock forward."""
        self._elapsed_s += seconds
