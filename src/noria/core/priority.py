"""Work that nobody waits for gives way to the processes that answer people."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
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


def _work(context: contextvars.Context, work: Callable[[], T], outcome: Future[T]) -> None:
    with contextlib.suppress(OSError):  # a sandbox may forbid it: then it is as urgent as everything else
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_NICEST, niceness + NICER))
    try:
        outcome.set_result(context.run(work))
    except BaseException as error:  # noqa: BLE001 - raised again where the work was asked for
        outcome.set_exception(error)
