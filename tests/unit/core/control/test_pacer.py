from __future__ import annotations

import threading
import time

import pytest

from noria.core.control.pacer import LONGEST_BACK_OFF_S, Pacer, Source
from support.waiting import wait_until


def test_a_failing_source_is_called_less_and_less_often() -> None:
    """Each failure in a row doubles the pause up to a limit, and a success sets it back."""
    source = Source("s", 1.0, lambda: None)
    pauses = []
    for n_failures in (0, 1, 2, 4, 10, 10_000):
        source.n_failures = n_failures
        pauses.append(source.pause_s())

    assert pauses == [1.0, 2.0, 4.0, 16.0, LONGEST_BACK_OFF_S, LONGEST_BACK_OFF_S]


def test_a_slow_source_is_not_called_more_often_for_failing() -> None:
    """A source whose own interval is longer than the longest back-off keeps its interval."""
    assert Source("s", 3600.0, lambda: None, n_failures=5).pause_s() == 3600.0


def test_what_a_source_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A source that raises is logged by its name and called again; the others are called as if nothing was."""
    calls = {"bad": 0, "good": 0}

    def bad() -> None:
        calls["bad"] += 1
        if calls["bad"] < 3:
            raise ValueError("not yet")

    def good() -> None:
        calls["good"] += 1

    failing = Source("bad", 0.001, bad)
    pacer = Pacer([failing, Source("good", 0.001, good)])
    pacer.start()
    wait_until(lambda: calls["bad"] > 5 and calls["good"] > 5)
    pacer.stop(30)

    assert [(r.getMessage(), r.source, r.n_failures) for r in caplog.records] == [  # type: ignore[attr-defined]
        ("control.failed", "bad", 1),
        ("control.failed", "bad", 2),
    ]
    assert failing.n_failures == 0


def test_nothing_is_called_after_the_stop() -> None:
    """Once stopped, the pacer calls neither the source that comes next in the same round nor any later."""
    calls = []
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(30)

    pacer = Pacer([Source("hold", 0.001, hold), Source("next", 0.001, lambda: calls.append(1))])
    pacer.start()
    inside.wait(30)
    pacer.stop(timeout_s=0)
    go_on.set()
    pacer.stop(timeout_s=30)

    assert pacer.is_stopping
    assert calls == []


def test_sources_that_are_due_nearly_together_share_a_waking() -> None:
    """A source that began a little later is called together with the first one from then on."""
    calls: list[tuple[str, float]] = []
    first = Source("first", 0.2, lambda: calls.append(("first", time.monotonic())))
    second = Source("second", 0.2, lambda: calls.append(("second", time.monotonic())))
    second.due_at = time.monotonic() + 0.22
    pacer = Pacer([first, second])
    pacer.start()
    wait_until(lambda: len(calls) >= 9)
    pacer.stop(30)

    assert first.due_at == second.due_at
