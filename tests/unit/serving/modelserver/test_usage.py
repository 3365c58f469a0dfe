"""What a process and its children use, beside what they say of themselves."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime

import psutil

from noria.core.clock import ManualClock, SystemClock
from noria.serving.modelserver.usage import Usage

BUSY = """
import time
while time.process_time() < 0.5:
    pass
print("done", flush=True)
held = bytearray(50_000_000)
input()
"""


def test_children_count_while_they_live_and_afterwards() -> None:
    """Processor time never runs backwards; memory is of those that live."""
    usage = Usage(SystemClock())
    before = usage.read()
    child = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    # The child says so before it takes the memory.
    while psutil.Process(child.pid).memory_info().rss < 50_000_000:
        time.sleep(0.01)
    during = usage.read()
    child.communicate("\n")
    after = usage.read()

    assert during.memory_bytes > before.memory_bytes + 40_000_000
    assert during.cpu_s >= before.cpu_s + 0.4
    assert during.n_processors > 0
    assert after.cpu_s >= during.cpu_s
    assert after.memory_bytes < during.memory_bytes


def test_processors_are_told_since_the_reading_before() -> None:
    """Half a second of work in two seconds of the clock is a quarter of a processor."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    usage = Usage(clock)
    first = usage.read()
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass
    clock.advance(2)
    found = usage.read()

    assert first.n_processors == 0.0
    assert found.n_processors == (found.cpu_s - first.cpu_s) / 2
    assert found.n_processors >= 0.24
    assert usage.read().n_processors == 0.0
