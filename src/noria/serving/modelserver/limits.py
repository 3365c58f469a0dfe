"""How fast a key may ask, over all workers of a model server."""

from __future__ import annotations

import fcntl
import hashlib
import math
import threading
from collections.abc import Callable

from noria.core.http_errors import TooManyRequests
from noria.serving.modelserver.board import PAGE_BYTES, Board
from noria.serving.plans import PlannedKey

_WORD_BYTES = 8
_N_CELLS = PAGE_BYTES // (2 * _WORD_BYTES)
_MASK = (1 << 64) - 1


class Limiter:
    """Lets a key's requests through at its rate, after a burst. Thread-safe, and shared by processes.

    The generic cell rate algorithm (ITU-T I.371, 2004): a key has a time at which its next request is due; a request
    moves it on by one interval, and comes too early when that time is further away than the burst.

    Parameters
    ----------
    board
        Its last page holds, for each key, its id's hash and when its next request is due.
    clock_ns
        Monotonic, the same for all processes.
    """

    def __init__(self, board: Board, clock_ns: Callable[[], int]) -> None:
        self._fd = board.fd
        self._offset = (len(board.pages) - 1) * PAGE_BYTES
        self._words = board.pages[-1].words
        self._clock_ns = clock_ns
        self._lock = threading.Lock()

    def take(self, key: PlannedKey) -> None:
        """Count a request.

        Raises
        ------
        TooManyRequests
            If it comes too early; `details` has when it would not.
        """
        if key.rate_per_s is None:
            return
        interval_ns = round(1e9 / key.rate_per_s)
        burst = key.burst or max(1, math.ceil(key.rate_per_s))
        now_ns = self._clock_ns()
        early_ns = self._move(key.id, now_ns, interval_ns, (burst - 1) * interval_ns)
        if early_ns > 0:
            raise TooManyRequests(
                f"This key may ask {key.rate_per_s:g} times a second",
                hint="Wait as long as `Retry-After` says",
                details={"retry_after_s": math.ceil(early_ns / 1e9)},
            )

    def _move(self, identity: str, now_ns: int, interval_ns: int, tolerance_ns: int) -> int:
        name = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "little") or 1
        with self._lock:
            # The lock of a process that is killed is given back by the kernel.
            fcntl.lockf(self._fd, fcntl.LOCK_EX, PAGE_BYTES, self._offset)
            try:
                cell = self._cell(name)
                due_ns = max(int(self._words[cell + 1]), now_ns)
                early_ns = due_ns - now_ns - tolerance_ns
                if early_ns <= 0:
                    self._words[cell + 1] = (due_ns + interval_ns) & _MASK
                return early_ns
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, PAGE_BYTES, self._offset)

    def _cell(self, name: int) -> int:
        """Find the words of a key, or the next free ones; when all are taken, keys share some."""
        start = name % _N_CELLS
        for step in range(64):
            cell = 2 * ((start + step) % _N_CELLS)
            found = int(self._words[cell])
            if found in (0, name):
                self._words[cell] = name
                return cell
        return 2 * start
