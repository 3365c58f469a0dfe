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
_POOL_BYTES = 3_000


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
        self._pool = b""
        self._drawn = 0

    def forget(self) -> None:
        """Draw fresh random bytes from now on: a forked process must not give those of its parent again."""
        self._lock = threading.Lock()
        self._pool = b""

    def __call__(self) -> str:
        """Make one identifier: 32 lower-case hex digits."""
        with self._lock:
            ms, counter = self._next()
            tail = self._draw(6)
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
            self._counter = self._draw(4) >> (32 - _COUNTER_BITS + 1)
        else:
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._last_ms += 1
                self._counter = 0
        return self._last_ms, self._counter

    def _draw(self, n_bytes: int) -> int:
        # Asked for many identifiers at a time: a call of the kernel for each lets other threads have the interpreter.
        if self._drawn + n_bytes > len(self._pool):
            self._pool, self._drawn = os.urandom(_POOL_BYTES), 0
        start = self._drawn
        self._drawn += n_bytes
        return int.from_bytes(self._pool[start : self._drawn], "big")


new_id = IdFactory()
os.register_at_fork(after_in_child=new_id.forget)


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an identifier."""
    return _ID.fullmatch(text) is not None
