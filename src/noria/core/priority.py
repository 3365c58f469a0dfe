"""Work that nobody waits for gives way to the processes that answer people."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

NICER: Final = 10
"""Added to the niceness of whoever asks. Under Linux's fair scheduler such work gets about a tenth of a processor that
others want whole, and all of one that nobody wants."""

_NICEST: Final = 19


def giving_way(work: Callable[[], T]) -> T:
    """Call something at a lower priority, and give what it returns.

    Linux has priorities by thread, so the work is done in one that ends with it: a process that has once made itself
    nicer cannot be brought back. Elsewhere it is called as it is. Where Linux shares its processors among sessions
    first (`sched_autogroup_enabled`, as desktops have it) or among services, it gives way within its own alone.
    """
    if not sys.platform.startswith("linux"):
        return work()
    outcome: Future[T] = Future()
    arguments = (contextvars.copy_context(), work, outcome)
    # A daemon: a process that is told to end does not wait for it.
    thread = threading.Thread(target=_work, args=arguments, name="noria-giving-way", daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def only_when_idle() -> bool:
    """Let this thread run on what others leave over, for good, and tell whether that could be done.

    A thread that is merely nicer keeps others waiting for its slice of time when they wake up beside it. This one makes
    room at once, and a processor that runs nothing else counts as free. Where none ever is, it gets a few milliseconds
    a second. Linux alone has such threads.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # a sandbox may forbid it
        return False
    return True


def held_up_s() -> float:
    """Give for how many seconds this thread was ready and others had the processors; 0 where that is not told."""
    return _held_up_s(Path("/proc/thread-self/schedstat"))


def process_held_up_s(pid: int) -> float:
    """Give the same of all threads of a process together, as far as they live."""
    return sum(map(_held_up_s, Path(f"/proc/{pid}/task").glob("*/schedstat")))


def _held_up_s(told: Path) -> float:
    try:
        return int(told.read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # it has ended, or the kernel does not tell
        return 0.0


def _work(context: contextvars.Context, work: Callable[[], T], outcome: Future[T]) -> None:
    with contextlib.suppress(OSError):  # a sandbox may forbid it: then it is as urgent as everything else
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_NICEST, niceness + NICER))
    try:
        outcome.set_result(context.run(work))
    except BaseException as error:  # noqa: BLE001 - raised again where the work was asked for
        outcome.set_exception(error)
