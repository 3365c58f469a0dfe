"""One thread of a process that calls back later, for all runs that are being logged.

A run that ends within moments must not pay for a thread of its own: starting one takes as long as logging thousands of
points.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Ticker:
    """Calls back after a time, in a thread that is started at the first use. Thread-safe.

    What is called must be quick, or the others wait.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Have `callback` called once, `seconds` from now."""
        with self._condition:
            due_s = time.monotonic() + seconds
            heapq.heappush(self._due, (due_s, next(self._numbers), callback))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="noria-ticker", daemon=True)
                self._thread.start()
            elif self._due[0][0] == due_s:
                self._condition.notify()

    def after_fork(self) -> None:
        """Begin anew in a process made by fork, in which the thread is gone."""
        self._begin()

    def _run(self) -> None:
        while True:
            callback = self._next()
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - the thread serves others too
                _log.warning("ticker.callback_failed", extra={"error": repr(error)})

    def _next(self) -> Callable[[], None]:
        with self._condition:
            while True:
                pause_s = self._due[0][0] - time.monotonic() if self._due else None
                if pause_s is not None and pause_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._condition.wait(pause_s)


@functools.cache
def shared_ticker() -> Ticker:
    """Give the ticker of this process."""
    ticker = Ticker()
    os.register_at_fork(after_in_child=ticker.after_fork)
    return ticker
