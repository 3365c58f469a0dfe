from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noria.core.clock import ManualClock, SystemClock
from noria.core.control.steps import Abandoned, Executions, RecordedSteps
from noria.core.control.testing import InlineSteps
from noria.core.errors import Failed, Invalid, NotFound
from support.waiting import wait_until

START = datetime(2030, 1, 1, tzinfo=UTC)


class Recorder:
    """Keeps the answers by their order, as the engine does."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Any]] = []
        self.position = 0

    def __call__(self, name: str, fn: Callable[[], Any]) -> Any:
        if self.position == len(self.answers):
            self.answers.append((name, fn()))
        kept_name, answer = self.answers[self.position]
        self.position += 1
        assert kept_name == name
        return answer


def steps_on(record: Recorder, clock: Any, executions: Executions | None = None) -> RecordedSteps:
    record.position = 0
    return RecordedSteps(workflow_id="w", record=record, executions=executions or Executions(), clock=clock)


def test_a_recorded_step_is_not_called_again() -> None:
    """A rerun gets the answers and the time of the first run."""
    record, calls = Recorder(), []

    def count() -> int:
        calls.append(1)
        return len(calls)

    first = steps_on(record, ManualClock(START))
    seen = [first.run("count", count), first.now(), first.run("count", count)]
    again = steps_on(record, ManualClock(START + timedelta(days=1)))
    replayed = [again.run("count", count), again.now(), again.run("count", count)]

    assert seen == [1, START, 2]
    assert replayed == seen
    assert len(calls) == 2


def test_a_sleep_goes_on_where_it_was() -> None:
    """A rerun sleeps until the time to wake up that the first run recorded, not for the whole length again."""
    record, clock = Recorder(), ManualClock(START)
    record.answers = [("sleep", (START + timedelta(hours=1)).isoformat())]
    clock.advance(3600)

    steps_on(record, clock).sleep(3600)  # ends at once, or the time limit of the test ends it

    assert record.position == 1


@pytest.mark.parametrize("make", [InlineSteps, lambda clock: steps_on(Recorder(), clock)])
def test_a_step_raises_what_its_record_will(make: Callable[[Any], Any]) -> None:
    """Noria's errors keep their class, others become `Failed`, and an answer that is not JSON is refused."""
    steps = make(SystemClock())

    def raise_(error: Exception) -> None:
        raise error

    with pytest.raises(NotFound, match="no model"):
        steps.run("missing", lambda: raise_(NotFound("no model")))
    with pytest.raises(Failed, match=r"^KeyError: 'digits'$"):
        steps.run("look up", lambda: raise_(KeyError("digits")))
    with pytest.raises(Invalid, match=r"^The answer of step `pair` cannot be recorded: `\$` is a `tuple`$"):
        steps.run("pair", lambda: (1, 2))


def test_inline_steps_move_the_clock() -> None:
    """Without a loop a sleep of an hour takes the clock an hour and the test no time."""
    clock = ManualClock(START)
    steps = InlineSteps(clock, "rollout:1")
    steps.run("begin", lambda: None)
    steps.sleep(3600)

    assert steps.now() == START + timedelta(hours=1)
    assert (steps.names, steps.workflow_id) == (["begin"], "rollout:1")


def test_a_stopping_loop_wakes_its_sleepers() -> None:
    """A workflow that sleeps for long is abandoned as soon as the loop stops."""
    executions, ended = Executions(), threading.Event()

    def sleep() -> None:
        with executions.running("sleeper", "w"), pytest.raises(Abandoned):
            steps_on(Recorder(), SystemClock(), executions).sleep(3600)
        ended.set()

    threading.Thread(target=sleep, daemon=True).start()
    wait_until(lambda: executions.runs_any("sleeper"))

    assert executions.stop(grace_s=30)
    assert ended.wait(30)


def test_a_stopping_loop_lets_a_step_end_and_begins_no_other() -> None:
    """The step that runs when the loop stops gives its answer to be recorded; the next one does not begin."""
    executions, record = Executions(), Recorder()
    inside, go_on, began = threading.Event(), threading.Event(), []

    def hold() -> str:
        inside.set()
        assert go_on.wait(30)
        return "held"

    def work() -> None:
        steps = steps_on(record, SystemClock(), executions)
        with executions.running("worker", "w"):
            steps.run("hold", hold)
            with pytest.raises(Abandoned):
                steps.run("next", lambda: began.append(1))

    threading.Thread(target=work, daemon=True).start()
    inside.wait(30)
    stopped_at_once = executions.stop(grace_s=0)
    go_on.set()

    assert not stopped_at_once
    assert executions.stop(grace_s=30)
    assert record.answers == [("hold", "held")]
    assert began == []


def test_a_step_that_does_not_end_is_left_behind() -> None:
    """A workflow inside a step that hangs lets go when it is abandoned, and nothing of the step is recorded."""
    executions, record, hang = Executions(), Recorder(), threading.Event()

    def work() -> None:
        with executions.running("worker", "w"), pytest.raises(Abandoned):
            steps_on(record, SystemClock(), executions).run("hang", hang.wait)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_until(lambda: any(t.name == "noria-step-hang" for t in threading.enumerate()))
    stopped = executions.stop(grace_s=0)
    executions.abandon()

    assert not stopped
    assert executions.stop(grace_s=30)
    assert record.answers == []
    hang.set()
    thread.join(30)


def test_nothing_begins_after_the_stop() -> None:
    """A workflow that would begin after the loop has stopped is abandoned before its function is called."""
    executions = Executions()
    executions.stop(grace_s=0)

    with pytest.raises(Abandoned), executions.running("late", "w"):
        raise AssertionError("began")


def test_a_cancelled_sleeper_wakes_up() -> None:
    """Cancelling ends the sleep of the workflow it names and of no other."""
    executions, awake = Executions(), []

    def sleep(workflow_id: str) -> None:
        with executions.running("sleeper", workflow_id):
            RecordedSteps(
                workflow_id=workflow_id, record=Recorder(), executions=executions, clock=SystemClock()
            ).sleep(3600)
            awake.append(workflow_id)

    threads = [threading.Thread(target=_until_abandoned(sleep, name), daemon=True) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    wait_until(lambda: executions.is_running("a") and executions.is_running("b"))
    executions.cancel("a")
    executions.cancel("unknown")
    wait_until(lambda: awake == ["a"])

    assert executions.is_running("b")
    assert not executions.is_cancelled("unknown")
    assert executions.stop(grace_s=30)


def _until_abandoned(fn: Callable[[str], None], workflow_id: str) -> Callable[[], None]:
    def run() -> None:
        try:
            fn(workflow_id)
        except Abandoned:
            return

    return run
