"""One thread that calls functions again and again and never dies of what they raise."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST_BACK_OFF_S = 30.0
EARLY_S = 0.05
"""A source may be called so much too early, at most a fifth of its period, to share a waking of the thread."""

_log = logging.getLogger("noria.control")


@dataclass(slots=True)
class Source:
    """A function that is called about every `every_s` seconds; after each failure in a row, half as often.

    Attributes
    ----------
    due_at
        When to call it next, as `time.monotonic` counts.
    """

    name: str
    every_s: float
    fn: Callable[[], None]
    due_at: float = 0.0
    n_failures: int = 0

    def call(self, now: float) -> None:
        """Call the function, and set when to call it next."""
        try:
            self.fn()
        except Exception:  # noqa: BLE001 - logged, and called again later
            self.n_failures += 1
            _log.exception("control.failed", extra={"source": self.name, "n_failures": self.n_failures})
        else:
            self.n_failures = 0
        self.due_at = now + self.pause_s()

    def pause_s(self) -> float:
        """Give how long to wait until the next call."""
        longer_s = self.every_s * 2.0 ** min(self.n_failures, 20)
        return max(self.every_s, min(longer_s, LONGEST_BACK_OFF_S))


class Pacer:
    """Calls its sources, one after the other, from `start` to `stop`."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noria-control", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Call nothing any more; wait up to `timeout_s` for the source that is being called."""
        self._stopping.set()
        self._thread.join(timeout_s)

    @property
    def is_stopping(self) -> bool:
        """Tell a source that takes long whether to end early."""
        return self._stopping.is_set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            self._call_due()
            next_at = min((source.due_at for source in self._sources), default=time.monotonic() + 1.0)
            pause_s = max(0.0, next_at - time.monotonic())

    def _call_due(self) -> None:
        now = time.monotonic()
        for source in self._sources:
            if self._stopping.is_set():
                return
            if source.due_at <= now + min(EARLY_S, source.every_s / 5):
                source.call(now)
