"""Identifiers that people see: UUIDv7 as 32 hex digits, monotonic within a process."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable

_ID = re.compile(r"[0-9a-f]{32}")
_COUNTER_BITS = 12 + 14  # rand_a and the first bits of rand_b count within one millisecond
_TAIL_BITS = 62 - 14


class IdFactory:
    """Makes UUIDv7 identifiers that sort by time of making, also within one millisecond.

    The 12 bits of `rand_a` and the next 14 hold a counter that starts at a random value in each millisecond
    (RFC 9562, section 6.2, method 1); the last 48 are random.

    Parameters
    ----------
    now_ns
        Source of nanoseconds since 1970.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._last_ms = -1
        self._counter = 0

    def __call__(self) -> str:
        """Make one identifier: 32 lower-case hex digits."""
        with self._lock:
            ms, counter = self._next()
        tail = int.from_bytes(os.urandom(6), "big")
        value = (
            ms << 80
            | 0x7 << 76
            | (counter >> 14) << 64
            | 0b10 << 62
            | (counter & 0x3FFF) << _TAIL_BITS
            | tail
        )
        return f"{value:032x}"

    def _next(self) -> tuple[int, int]:
        ms = self._now_ns() // 1_000_000
        if ms > self._last_ms:
            self._last_ms = ms
            # The top bit stays clear so that 2**25 identifiers fit before the counter runs over.
            self._counter = int.from_bytes(os.urandom(4), "big") >> (32 - _COUNTER_BITS + 1)
        else:
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._last_ms += 1
                self._counter = 0
        return self._last_ms, self._counter


new_id = IdFactory()


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an identifier."""
    return _ID.fullmatch(text) is not None
