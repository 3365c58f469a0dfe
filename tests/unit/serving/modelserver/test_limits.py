"""The rate of a key, over all workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from noria.core.http_errors import TooManyRequests
from noria.serving.modelserver.board import Board
from noria.serving.modelserver.limits import Limiter
from noria.serving.plans import PlannedKey

_PROGRAM = """
import sys
from noria.core.http_errors import TooManyRequests
from noria.serving.modelserver.board import Board
from noria.serving.modelserver.limits import Limiter
from noria.serving.plans import PlannedKey
limiter = Limiter(Board(int(sys.argv[1]), 2), lambda: 10**9)
n = 0
for _ in range(2000):
    try:
        limiter.take(PlannedKey(id="a", hash="", rate_per_s=1.0, burst=1000))
        n += 1
    except TooManyRequests:
        pass
print(n)
"""


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 10**9

    def __call__(self) -> int:
        return self.now_ns


def _passes(limiter: Limiter, key: PlannedKey, n: int) -> int:
    passed = 0
    for _ in range(n):
        try:
            limiter.take(key)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_a_key_has_its_burst_and_then_its_rate() -> None:
    """Another key is not touched by it, and one without a rate is let through."""
    clock = Clock()
    limiter = Limiter(Board.create(2), clock)
    slow = PlannedKey(id="slow", hash="", rate_per_s=2.0, burst=5)

    assert _passes(limiter, slow, 10) == 5
    with pytest.raises(TooManyRequests) as refused:
        limiter.take(slow)
    assert refused.value.details["retry_after_s"] == 1
    assert _passes(limiter, PlannedKey(id="other", hash="", rate_per_s=3.0), 10) == 3
    assert _passes(limiter, PlannedKey(id="free", hash=""), 10) == 10
    clock.now_ns += 10**9
    assert _passes(limiter, slow, 10) == 2
    clock.now_ns += 3600 * 10**9
    assert _passes(limiter, slow, 10) == 5


def test_processes_share_the_rate() -> None:
    """Two that ask as fast as they can get no more than one would."""
    board = Board.create(2)
    command = [sys.executable, "-c", _PROGRAM, str(board.fd)]
    started = [subprocess.Popen(command, pass_fds=[board.fd], stdout=subprocess.PIPE) for _ in range(2)]
    passed = [int(process.communicate(timeout=120)[0]) for process in started]

    assert sum(passed) == 1000


def test_all_workers_read_the_same_clock() -> None:
    """Due times are of the monotonic clock, which a machine has one of."""
    command = [sys.executable, "-c", "import time; print(time.monotonic_ns())"]
    before = time.monotonic_ns()
    there = int(subprocess.run(command, check=True, capture_output=True, env=dict(os.environ)).stdout)

    assert before < there < time.monotonic_ns()
