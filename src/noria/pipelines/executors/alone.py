"""Run single attempts in a process of their own, one after the other, for what cannot be stopped in this one."""

from __future__ import annotations

import contextlib
import queue

from noria.pipelines.executors.processes import ProcessHands
from noria.pipelines.executors.work import Outcome, Setup, Work

_LOOK_S = 0.2


class Alone:
    """A process that runs an attempt while this one waits."""

    def __init__(self, setup: Setup) -> None:
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._hands = ProcessHands(1)
        self._hands.begin(setup, self)

    def run(self, work: Work) -> Outcome:
        """Make an attempt."""
        self._hands.submit(work)
        while True:
            # Another thread may get the signal of Ctrl-C, and Python tells this one only when it looks.
            with contextlib.suppress(queue.Empty):
                return self._outcomes.get(timeout=_LOOK_S)

    def begun(self, number: int) -> None:
        """Do nothing: whoever waits knows."""

    def ended(self, _number: int, outcome: Outcome) -> None:
        """Take in how the attempt ended."""
        self._outcomes.put(outcome)

    def close(self) -> None:
        """Stop what runs."""
        self._hands.close()
