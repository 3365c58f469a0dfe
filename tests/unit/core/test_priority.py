"""Work that gives way to others."""

from __future__ import annotations

import contextvars
import os
import sys
import threading

import pytest

from noria.core.priority import NICER, giving_way

NAME = contextvars.ContextVar("NAME", default="nobody")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads have no priority of their own")
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
