"""Work that gives way to others."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from noria.core.priority import NICER, giving_way, held_up_s, only_when_idle, process_held_up_s
from support.waiting import wait_until

NAME = contextvars.ContextVar("NAME", default="nobody")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="threads have no priority of their own"
)


@on_linux
def test_work_is_nicer_and_whoever_asks_is_not() -> None:
    """Also afterwards: the next work of this process is as urgent as it was."""
    before = niceness()
    during = giving_way(niceness)

    assert during == min(19, before + NICER)
    assert niceness() == before


def test_it_gives_what_the_work_gives() -> None:
    """Its result, its error, and with the context of whoever asks."""
    NAME.set("ana")

    def fails() -> None:
        raise ValueError("no")

    assert giving_way(NAME.get) == "ana"
    with pytest.raises(ValueError, match="no"):
        giving_way(fails)


@on_linux
def test_a_thread_may_run_only_when_nothing_else_does() -> None:
    """It alone, and what it computes is the same."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(only_when_idle).result()
        assert pool.submit(os.sched_getscheduler, 0).result() == os.SCHED_IDLE
        assert pool.submit(held_up_s).result() >= 0.0
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@on_linux
def test_it_is_told_how_long_a_process_got_no_processor() -> None:
    """One that runs when nothing else does, beside one that never rests; of one that has ended nothing is told."""
    alone = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    idle = "from noria.core.priority import only_when_idle; only_when_idle()\n"
    forever = "while True: pass"
    command = [sys.executable, "-c"]
    with (
        subprocess.Popen([*command, alone + idle + forever]) as waiting,
        subprocess.Popen([*command, alone + forever]) as hog,
    ):
        try:
            wait_until(lambda: process_held_up_s(waiting.pid) > 0.3, 60)
        finally:
            hog.kill()
            waiting.kill()
    assert process_held_up_s(waiting.pid) == 0.0
