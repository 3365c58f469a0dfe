"""One thread calls back for everybody."""

from __future__ import annotations

import threading

import pytest

from noria.tracking.ticker import Ticker
from support.waiting import wait_until


def test_callbacks_come_in_the_order_of_their_time() -> None:
    """An earlier one that is asked for later overtakes."""
    ticker, called = Ticker(), []
    ticker.call_later(0.2, lambda: called.append("late"))
    ticker.call_later(0.01, lambda: called.append("early"))
    wait_until(lambda: len(called) == 2)

    assert called == ["early", "late"]


def test_one_that_raises_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """What it raised is told to the log."""
    ticker, called = Ticker(), []
    ticker.call_later(0.0, lambda: called.append(1 // 0))
    ticker.call_later(0.01, lambda: called.append(1))
    wait_until(lambda: called == [1])

    assert "callback_failed" in caplog.text


def test_all_come_from_one_thread() -> None:
    """Thousands of short runs start one thread among them."""
    ticker = Ticker()
    threads: list[threading.Thread] = []
    for _ in range(100):
        ticker.call_later(0.0, lambda: threads.append(threading.current_thread()))
    wait_until(lambda: len(threads) == 100)

    assert len(set(threads)) == 1
