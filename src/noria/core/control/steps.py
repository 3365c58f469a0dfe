"""The steps that a running workflow is handed, and how a stopping loop gets it to let go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from noria.core.clock import Clock
from noria.core.control.codec import as_noria_error, require_json
from noria.core.control.workflows import JSON

T = TypeVar("T", bound=JSON)
R = TypeVar("R")

Record = Callable[[str, Callable[[], Any]], Any]
"""Calls a function under a name and keeps what it returns or raises; gives the kept one at a rerun."""

_LONGEST_NAP_S = 0.25
"""A sleeper looks at its clock this often, since a laptop that was suspended wakes up with a clock that jumped."""


class Abandoned(BaseException):
    """The loop stops: the workflow goes no further, and the next start takes it up again.

    Not an `Exception`, so that neither a workflow's own `except Exception` nor the engine takes it for its end.
    """


class Executions:
    """The workflows that run in this process, and the way to make them let go.

    Thread-safe. Once `stop` was called nothing begins any more: a workflow between two steps or asleep is abandoned
    at once, one inside a step when that ends or when `abandon` is called.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # re-entrant
        self._running: list[tuple[str, str]] = []
        self._calls: set[Future[Any]] = set()
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    @contextmanager
    def running(self, name: str, workflow_id: str) -> Iterator[None]:
        """Count a workflow as running for the length of the block."""
        with self._changed:
            self.check()
            self._running.append((name, workflow_id))
        try:
            yield
        finally:
            with self._changed:
                self._running.remove((name, workflow_id))
                self._cancelled.discard(workflow_id)
                self._changed.notify_all()

    def runs_any(self, name: str) -> bool:
        """Tell whether a workflow of this name runs."""
        with self._changed:
            return any(name == running for running, _ in self._running)

    def is_running(self, workflow_id: str) -> bool:
        """Tell whether the workflow of this id runs."""
        with self._changed:
            return any(workflow_id == running for _, running in self._running)

    @property
    def is_stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopping.is_set()

    def check(self) -> None:
        """Raise `Abandoned` if the loop stops."""
        if self.is_stopping:
            raise Abandoned

    def nap(self, seconds: float) -> None:
        """Wait, but not beyond the stop of the loop."""
        if self._stopping.wait(seconds):
            raise Abandoned

    def cancel(self, workflow_id: str) -> None:
        """Wake a workflow up from its sleep for good; its next step learns that it was cancelled."""
        with self._changed:
            if self.is_running(workflow_id):
                self._cancelled.add(workflow_id)

    def is_cancelled(self, workflow_id: str) -> bool:
        """Tell whether `cancel` was called for a workflow that still runs."""
        return workflow_id in self._cancelled

    def call(self, fn: Callable[[], R], name: str) -> R:
        """Call `fn` in a thread that the caller can leave behind.

        The engine's own threads hold up the end of the process until they return; this one does not.
        """
        future: Future[R] = Future()
        with self._changed:
            self.check()
            self._calls.add(future)
        threading.Thread(target=_settle, args=(future, fn), name=f"noria-step-{name}", daemon=True).start()
        try:
            return future.result()
        finally:
            with self._changed:
                self._calls.discard(future)

    def stop(self, grace_s: float) -> bool:
        """Let nothing begin any more, and wait until nothing runs or `grace_s` is over.

        Returns
        -------
        bool
            Whether nothing runs.
        """
        self._stopping.set()
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, grace_s)

    def abandon(self) -> None:
        """Leave the steps that still run behind."""
        with self._changed:
            for future in self._calls:
                with suppress(InvalidStateError):
                    future.set_exception(Abandoned())


class RecordedSteps:
    """`Steps` on a function that records."""

    def __init__(self, *, workflow_id: str, record: Record, executions: Executions, clock: Clock) -> None:
        self._workflow_id = workflow_id
        self._record = record
        self._executions = executions
        self._clock = clock

    @property
    def workflow_id(self) -> str:
        """Id under which this workflow was started."""
        return self._workflow_id

    def run(self, name: str, fn: Callable[[], T]) -> T:
        """Call `fn` once, as far as its record tells."""
        return self._recorded(name, lambda: self._executions.call(fn, name))

    def sleep(self, seconds: float) -> None:
        """Wait until the recorded time to wake up."""
        wakes_at = self._instant("sleep", timedelta(seconds=seconds))
        while not self._executions.is_cancelled(self._workflow_id):
            left_s = (wakes_at - self._clock.now()).total_seconds()
            if left_s <= 0:
                return
            self._executions.nap(min(left_s, _LONGEST_NAP_S))

    def now(self) -> datetime:
        """Give the recorded present."""
        return self._instant("now", timedelta())

    def _instant(self, name: str, later: timedelta) -> datetime:
        def read() -> str:
            return (self._clock.now() + later).isoformat()

        return datetime.fromisoformat(self._recorded(name, read))

    def _recorded(self, name: str, fn: Callable[[], T]) -> T:
        self._executions.check()
        answer: T = self._record(name, lambda: attempt(name, fn))
        return answer


def attempt(name: str, fn: Callable[[], T]) -> T:
    """Call a step so that its first run gives and raises exactly what its record will."""
    try:
        return require_json(fn(), f"The answer of step `{name}`")
    except Exception as error:
        raise as_noria_error(error) from error


def _settle(future: Future[R], fn: Callable[[], R]) -> None:
    try:
        value = fn()
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller, who waits for it
        told = error if isinstance(error, Exception) else as_noria_error(error)
        with suppress(InvalidStateError):
            future.set_exception(told)
    else:
        with suppress(InvalidStateError):
            future.set_result(value)
