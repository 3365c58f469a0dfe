"""Wait for something to become true, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONGEST_PAUSE_S = 0.25
"""Cap of the growing pause between two looks: quick answers stay quick, slow ones do not burn a core."""


def wait_until(
    predicate: Callable[[], T],
    timeout_s: float = 30.0,
    message: str | Callable[[], str] = "the condition never became true",
) -> T:
    """Call `predicate` until it gives a true value, and return that value.

    Parameters
    ----------
    predicate
        Looked at once at least, and once more when the limit is reached. What it raises passes through.
    timeout_s
        Limit in seconds by the monotonic clock.
    message
        Says what was waited for; a callable is asked when the limit is reached, so that it can tell the last state.

    Raises
    ------
    AssertionError
        If the limit is reached first.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = 0.005
    while True:
        late = time.monotonic() >= deadline
        value = predicate()
        if value:
            return value
        if late:
            text = message() if callable(message) else message
            raise AssertionError(f"{text} (waited {timeout_s:g} s)")
        time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
