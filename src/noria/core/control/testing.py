"""Run a workflow function in a test, without a loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from noria.core.clock import Clock
from noria.core.control.steps import attempt
from noria.core.control.workflows import JSON

T = TypeVar("T", bound=JSON)


class InlineSteps:
    """`Steps` that keep no record: each is called at once, in the caller's thread.

    With a `ManualClock` a sleep takes no time, so a rollout of an hour can be tested in milliseconds.

    Attributes
    ----------
    names
        The steps that were called, in order.
    """

    def __init__(self, clock: Clock, workflow_id: str = "test") -> None:
        self.names: list[str] = []
        self._clock = clock
        self._workflow_id = workflow_id

    @property
    def workflow_id(self) -> str:
        """Id that the workflow is told."""
        return self._workflow_id

    def run(self, name: str, fn: Callable[[], T]) -> T:
        """Call `fn`, with the same checks and the same errors as a recorded step."""
        self.names.append(name)
        return attempt(name, fn)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self._clock.sleep(seconds)

    def now(self) -> datetime:
        """Read the clock."""
        return self._clock.now()
