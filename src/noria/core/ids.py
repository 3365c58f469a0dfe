"""Identifiers that people see: UUIDv7 as 32 hex digits, monotonic within a process."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable

_ID = re.compile(r"[0-9a-f]{32}")
_COUNTER_BITS = 12 + 14  # rand_a and the first bits of rand_b count within one millisecond
_TAIL_DIGITS = 12
_DIGITS = _TAIL_DIGITS + 8  # eight of them for the counter
_POOL_BYTES = 5_000


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
        self._pool = ""
        self._drawn = 0

    def forget(self) -> None:
        """Draw fresh random bytes from now on: a forked process must not give those of its parent again."""
        self._lock = threading.Lock()
        self._pool = ""

    def __call__(self) -> str:
        """Make one identifier: 32 lower-case hex digits."""
        with self._lock:
            start = self._drawn
            if start + _DIGITS > len(self._pool):
                # For many identifiers at a time: a call of the kernel for each lets other threads have the interpreter.
                self._pool, start = os.urandom(_POOL_BYTES).hex(), 0
            tail = self._pool[start : start + _TAIL_DIGITS]
            self._drawn = start + _DIGITS
            ms = self._now_ns() // 1_000_000
            if ms > self._last_ms:
                self._last_ms = ms
                # The top bit stays clear so that 2**25 identifiers fit before the counter runs over.
                drawn = self._pool[start + _TAIL_DIGITS : start + _DIGITS]
                self._counter = int(drawn, 16) >> (32 - _COUNTER_BITS + 1)
            else:
                self._counter += 1
                if self._counter >> _COUNTER_BITS:
                    self._last_ms += 1
                    self._counter = 0
            ms, counter = self._last_ms, self._counter
        # Version 7 and variant 2 stand before the two halves of the counter, which are written as one number.
        return f"{ms:012x}{0x70008000 | (counter >> 14) << 16 | counter & 0x3FFF:x}{tail}"


new_id = IdFactory()
os.register_at_fork(after_in_child=new_id.forget)


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an identifier."""
    return _ID.fullmatch(text) is not None
