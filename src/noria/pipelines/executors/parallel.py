"""Run the steps of a pipeline at once, as far as their inputs allow, wherever attempts run.

The body goes on while steps run: a call gives handles to what is not made yet, and waits when it looks at one. A
thread of its own looks results up, hands attempts out, and records how they ended; nothing else touches the records.
"""

from __future__ import annotations

import contextvars
import copy
import heapq
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noria.core.errors import NoriaError
from noria.pipelines.authoring import Step
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.executors.body import must_wait
from noria.pipelines.executors.calls import Call, Calls, arranged
from noria.pipelines.executors.inline import pause_s, stored_value
from noria.pipelines.executors.packing import Packer, work_of
from noria.pipelines.executors.processes import Hands
from noria.pipelines.executors.work import Outcome, Setup, Work
from noria.pipelines.failures import StepFailed, failure_of
from noria.pipelines.outputs import Output, Pending, holds_output, map_outputs, outputs_in

_LOOK_S = 0.2  # another thread may get the signal of Ctrl-C, and Python tells this one only when it looks


class Cancelled(StepFailed):
    """A step was not run, since another one failed."""

    code = "step_cancelled"


@dataclass(slots=True, eq=False)
class Ticket:
    """A call that is not over yet.

    Attributes
    ----------
    waits_for
        How many of the calls that make its inputs are not over.
    followers
        The calls that wait for it.
    """

    call: Call
    over: threading.Event = field(default_factory=threading.Event)
    outputs: list[StoredValue] | None = None
    failure: Exception | None = None
    waits_for: int = 0
    followers: list[Ticket] = field(default_factory=list)


class _Promise(Pending):
    """One output of a call that is not over."""

    __slots__ = ("index", "tell", "ticket")

    def __init__(self, ticket: Ticket, index: int, tell: Callable[[Exception], None]) -> None:
        self.ticket = ticket
        self.index = index
        self.tell = tell

    def wait(self) -> StoredValue:
        """Wait for the step, and give its output."""
        while not self.ticket.over.wait(_LOOK_S):
            pass
        if self.ticket.failure is not None:
            self.tell(self.ticket.failure)
            raise self.ticket.failure
        outputs = self.ticket.outputs or []
        return outputs[self.index]


class ParallelExecutor:
    """Runs steps at once.

    Parameters
    ----------
    calls
        Of the run.
    hands
        Where attempts run.
    shares_files
        Whether attempts see the files of this machine.
    """

    def __init__(self, calls: Calls, hands: Hands, setup: Setup, *, shares_files: bool) -> None:
        self.calls = calls
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._packer = Packer(calls.values, calls.objects, shares_files=shares_files)
        self._open: dict[int, Ticket] = {}
        self._running: dict[int, tuple[Ticket, Work]] = {}
        self._pauses: list[tuple[float, int, Work]] = []
        self._untold: list[Exception] = []
        self._ending = False
        self._crash: BaseException | None = None
        self._idle = threading.Condition()
        self._hands = hands
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._serve,), name="noria-calls", daemon=True
        )
        hands.begin(setup, self)
        self._thread.start()

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take a call of a step, and give handles to what it will make.

        Raises
        ------
        StepFailed
            If a step failed that was called before, and nobody was told yet.
        Invalid
            If it is called with other arguments than it takes.
        """
        self._tell_failure()
        call = self.calls.announce(step, args, kwargs)
        call.arguments = {name: _own(value) for name, value in call.arguments.items()}
        ticket = Ticket(call)
        with self._idle:
            self._open[call.position] = ticket
        handles = [
            Output(_Promise(ticket, index, self._was_told), self.calls.values.load, (call.position, name))
            for index, name in enumerate(step.declared)
        ]
        self._events.put(lambda: self._arrived(ticket))
        if must_wait(step, sys._getframe(1)):
            handles = [self.calls.handle(handle.stored, handle.source) for handle in handles]
        return arranged(step, handles)

    def store(self, value: Any) -> StoredValue:
        """Store what the pipeline's body made."""
        return stored_value(self.calls, value)

    def finish(self) -> None:
        """Wait until every step is over.

        Raises
        ------
        StepFailed
            If one failed, and nobody was told yet.
        """
        self._wait_until(lambda: not self._open or bool(self._untold) or self._crash is not None)
        self._tell_failure()

    def close(self, *, at_once: bool) -> None:
        """Let steps that run come to their end, or stop them; those that have not begun are left out."""
        if not at_once:
            self._events.put(self._drop_waiting)
            self._wait_until(lambda: not self._running or self._crash is not None)
        self._ending = True
        self._hands.close()
        self._events.put(None)
        self._thread.join()

    def begun(self, number: int) -> None:
        """Take in that an attempt began."""
        self._events.put(lambda: self._began(number))

    def ended(self, number: int, outcome: Outcome) -> None:
        """Take in how an attempt ended."""
        self._events.put(lambda: self._over(number, outcome))

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        with self._idle:
            while not self._idle.wait_for(is_so, _LOOK_S):
                pass

    def _was_told(self, failure: Exception) -> None:
        with self._idle:
            self._untold = [each for each in self._untold if each is not failure]

    def _tell_failure(self) -> None:
        if self._crash is not None:
            raise self._crash
        with self._idle:
            failure = self._untold.pop(0) if self._untold else None
        if failure is not None:
            raise failure

    def _serve(self) -> None:
        try:
            while True:
                try:
                    event = self._events.get(timeout=self._patience_s())
                except queue.Empty:
                    self._try_again()
                    continue
                if event is None:
                    return
                event()
        except BaseException as error:  # noqa: BLE001 - the body would wait for ever
            self._crash = error
            for ticket in list(self._open.values()):
                ticket.failure = error if isinstance(error, Exception) else Cancelled(str(error))
                ticket.over.set()
        finally:
            with self._idle:
                self._idle.notify_all()

    def _patience_s(self) -> float | None:
        return max(0.0, self._pauses[0][0] - self.calls.clock.monotonic()) if self._pauses else None

    def _try_again(self) -> None:
        while self._pauses and self._pauses[0][0] <= self.calls.clock.monotonic():
            _, _, work = heapq.heappop(self._pauses)
            self._hands.submit(work)

    def _arrived(self, ticket: Ticket) -> None:
        makers = {maker for value in ticket.call.arguments.values() for maker in _makers(value)}
        for maker in makers:
            if maker.failure is not None:
                self._close_ticket(ticket, failure=maker.failure)
                return
            if not maker.over.is_set():
                maker.followers.append(ticket)
                ticket.waits_for += 1
        if not ticket.waits_for:
            self._ready(ticket)

    def _ready(self, ticket: Ticket) -> None:
        """Look up a call whose inputs are known, and hand it out if its result is not."""
        call = ticket.call
        try:
            call.arguments = {
                name: map_outputs(value, self._settled) for name, value in call.arguments.items()
            }
            outputs = self.calls.find(call)
            if outputs is not None:
                self._close_ticket(ticket, outputs=outputs)
                return
            work = work_of(call, self._packer, self.calls.run.inputs_read)
        except NoriaError as error:
            self._fail(ticket, error)
            return
        self._running[call.position] = (ticket, work)
        call.attempts += 1
        self._hands.submit(work)

    def _settled(self, output: Output) -> Any:
        return self.calls.handle(output.stored, output.source)

    def _began(self, number: int) -> None:
        if number in self._running:
            ticket, _ = self._running[number]
            self.calls.progress.started(ticket.call.step.name, number)

    def _over(self, number: int, outcome: Outcome) -> None:
        if number not in self._running or self._ending:
            return
        ticket, work = self._running.pop(number)
        call = ticket.call
        self.calls.ran(call, outcome.ran_s)
        try:
            self.calls.tell(outcome.made)
            if outcome.error is None:
                self.calls.take_in(outcome)
                self.calls.finished(call, outcome.made)
        except NoriaError as error:
            self._close_ticket(ticket, failure=error)
            return
        if outcome.error is None:
            self._close_ticket(ticket, outputs=outcome.made.outputs)
        elif call.attempts <= call.step.retries:
            due = self.calls.clock.monotonic() + pause_s(call.attempts)
            call.attempts += 1
            self._running[number] = (ticket, work)
            heapq.heappush(self._pauses, (due, number, work))
        else:
            self._fail(ticket, failure_of(outcome.error, call.step.name))

    def _fail(self, ticket: Ticket, error: NoriaError) -> None:
        if isinstance(error, StepFailed):
            self.calls.failed(ticket.call, error)
        self._close_ticket(ticket, failure=error)

    def _close_ticket(
        self, ticket: Ticket, *, outputs: list[StoredValue] | None = None, failure: Exception | None = None
    ) -> None:
        ticket.outputs, ticket.failure = outputs, failure
        followers, ticket.followers = ticket.followers, []
        with self._idle:
            del self._open[ticket.call.position]
            if failure is not None and not isinstance(failure, Cancelled) and failure not in self._untold:
                self._untold.append(failure)
            ticket.over.set()
            self._idle.notify_all()
        for follower in followers:
            if failure is not None and not follower.over.is_set():
                self._close_ticket(follower, failure=failure)
            follower.waits_for -= 1
            if failure is None and not follower.waits_for and not follower.over.is_set():
                self._ready(follower)

    def _drop_waiting(self) -> None:
        dropped = {*self._hands.drop_waiting(), *(number for _, number, _ in self._pauses)}
        self._pauses.clear()
        for ticket in list(self._open.values()):
            number = ticket.call.position
            if ticket.over.is_set() or (number in self._running and number not in dropped):
                continue
            self._running.pop(number, None)
            reason = f"The step `{ticket.call.step.name}` was not run, since another one failed"
            self._close_ticket(ticket, failure=Cancelled(reason))
        with self._idle:
            self._idle.notify_all()


def _makers(value: Any) -> list[Ticket]:
    """List the calls that make what a value holds and that are not known to be over."""
    return [output.pending.ticket for output in outputs_in(value) if isinstance(output.pending, _Promise)]


def _own(value: Any) -> Any:
    """Give the call its own copy of an argument: the body may change its one before the step begins."""
    if type(value) is Output:
        return value
    if holds_output(value):
        kind = type(value)
        if kind is dict:
            return {key: _own(item) for key, item in value.items()}
        items = [_own(item) for item in value]
        return items if kind is list else kind(*items) if hasattr(kind, "_fields") else kind(items)
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - what cannot be copied is handed over as it is, and refused if it cannot be sent
        return value
