"""The control loop on a real database, in this process."""

from __future__ import annotations

import base64
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import _dbos as dbos_module
from dbos import _scheduler as scheduler
from dbos import _workflow_commands as workflow_commands
from dbos._queue import queue_worker_thread

from noria.core.clock import SystemClock
from noria.core.control.engine import RESUMING_S, SCHEMA, SWEEPING_S, WorkflowStatus
from noria.core.control.loop import ControlLoop, ControlSettings, control_url
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, Workflow
from noria.core.errors import Conflict, Invalid, NotFound, Unavailable
from support.waiting import wait_until

Functions = dict[str, Callable[..., JSON]]


@dataclass(frozen=True, slots=True)
class Event:
    position: int
    type: str
    subject: str = "endpoint:digits"
    project: str | None = "default"
    payload: dict[str, Any] = field(default_factory=dict)


class Log:
    """A log of events with cursors, in memory."""

    def __init__(self, *types: str) -> None:
        self.events = [Event(position, type_) for position, type_ in enumerate(types, 1)]
        self.cursors: dict[str, int] = {}
        self.broken = False
        self.n_reads = 0

    def come(self, *types: str) -> None:
        """Let events happen."""
        for type_ in types:
            self.events.append(Event(len(self.events) + 1, type_))

    def read(self, after: int, /, *, limit: int = 100, types: list[str]) -> list[Event]:
        if self.broken:
            raise Unavailable("The log does not answer")
        self.n_reads += 1
        return [event for event in self.events if event.position > after and event.type in types][:limit]

    def last_position(self) -> int:
        return max((event.position for event in self.events), default=0)

    def newest_by_type(self, after: int, /) -> dict[str, int]:
        if self.broken:
            raise Unavailable("The log does not answer")
        return {event.type: event.position for event in self.events if event.position > after}

    def cursor(self, reader: str, /) -> int:
        return self.cursors.get(reader, 0)

    def advance(self, reader: str, position: int, /) -> None:
        self.cursors[reader] = position


@pytest.fixture
def settings(tmp_path: Path) -> ControlSettings:
    """Settings on SQLite, for what does not depend on the database."""
    return quick(f"sqlite:///{tmp_path / 'control.db'}")


@pytest.fixture
def each(database_url: str) -> ControlSettings:
    """Settings on SQLite and on PostgreSQL."""
    return quick(database_url)


def quick(url: str, **changes: float) -> ControlSettings:
    return ControlSettings(url=url, **{"poll_s": 0.02, "stop_grace_s": 1.0, **changes})


@contextmanager
def running(
    settings: ControlSettings, functions: Functions | None = None, again: bool = False, **declared: Any
) -> Iterator[ControlLoop]:
    workflows = [Workflow(name, fn, again) for name, fn in (functions or {}).items()]
    loop = ControlLoop(settings=settings, app="the app", clock=SystemClock(), workflows=workflows, **declared)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


def finished(loop: ControlLoop, workflow_id: str) -> Any:
    """Wait for a workflow to finish and give its state."""

    def state() -> Any:
        found = loop.status(workflow_id)
        return found if found.status.is_finished() else None

    return wait_until(state, message=f"`{workflow_id}` did not finish")


def test_a_workflow_runs_once_for_its_id(each: ControlSettings) -> None:
    """A workflow gets the app and its arguments, and submitting its id again, later too, starts nothing."""
    calls: list[Any] = []

    def work(steps: Steps, app: object, name: str, figures: JSON) -> JSON:
        calls.append((steps.workflow_id, app, name, figures))
        return {"doubled": steps.run("double", lambda: name * 2)}

    with running(each, {"work": work}) as loop:
        for _ in range(3):
            loop.submit("work", "work:1", "digits", {"n": [1, None, 0.5]})
        state = finished(loop, "work:1")
        loop.submit("work", "work:1", "other", {})
    with running(each, {"work": work}) as loop:
        loop.submit("work", "work:1", "digits", {})
        later = loop.status("work:1")

    assert calls == [("work:1", "the app", "digits", {"n": [1, None, 0.5]})]
    assert (state.name, state.status, state.answer) == (
        "work",
        WorkflowStatus.SUCCEEDED,
        {"doubled": "digitsdigits"},
    )
    assert later == state


def test_a_stopped_loop_goes_on_where_it_was(each: ControlSettings) -> None:
    """What was recorded before a stop is not done again; the step that was left behind is, and then the rest."""
    done: list[str] = []
    release = threading.Event()

    def note(name: str) -> str:
        done.append(name)
        return f"kept {name}"

    def hang() -> bool:
        note("hang")
        return release.wait(60)

    def work(steps: Steps, app: object) -> JSON:
        first = steps.run("first", lambda: note("first"))
        began = steps.now()
        steps.sleep(0.05)
        steps.run("hang", hang)
        return [first, began.isoformat()]

    with running(each, {"work": work}) as loop:
        loop.submit("work", "w")
        wait_until(lambda: done == ["first", "hang"])
        before = datetime.now().astimezone()
        loop.stop()
        after_stop = loop.is_running
        release.set()
        loop.start()
        state = finished(loop, "w")

    assert not after_stop
    assert done == ["first", "hang", "hang"]
    assert state.answer[0] == "kept first"
    assert datetime.fromisoformat(state.answer[1]) < before


@pytest.mark.parametrize("again", [True, False])
def test_a_workflow_whose_steps_are_others_now_begins_again(each: ControlSettings, again: bool) -> None:
    """After an upgrade that changed the order it runs once more without its record; else it fails and says so."""
    calls: list[str] = []

    def before(steps: Steps, app: object, name: str) -> JSON:
        steps.run("open", lambda: calls.append("open"))
        steps.run("look", lambda: calls.append("look"))
        steps.sleep(3600)
        return "before"

    def after(steps: Steps, app: object, name: str) -> JSON:
        steps.run("open", lambda: calls.append("open"))
        try:
            steps.run("stand", lambda: calls.append("stand"))
        except Exception as error:
            calls.append(f"caught {error}")
            raise
        steps.run("look", lambda: calls.append("look"))
        return {"after": name}

    with running(each, {"work": before}) as loop:
        loop.submit("work", "one", "digits")
        wait_until(lambda: calls == ["open", "look"], message="the workflow sleeps")
    with running(each, {"work": after}, again) as loop:
        found = finished(loop, "one")
        if not again:
            assert found.status is WorkflowStatus.FAILED
            assert "look was recorded when stand was expected" in found.error.message
            assert calls == ["open", "look"]
            return
        assert found.answer == {"began_again": "one:again"}
        assert finished(loop, "one:again").answer == {"after": "digits"}
    with running(each, {"work": after}, again) as loop:
        assert finished(loop, "one:again").answer == {"after": "digits"}
    assert calls == ["open", "look", "open", "stand", "look"]


def test_a_sleeping_workflow_does_not_hold_up_the_stop(settings: ControlSettings) -> None:
    """A loop with a workflow that sleeps for an hour stops without using its grace, and the sleep is taken up again."""
    asleep = threading.Event()

    def nap(steps: Steps, app: object) -> JSON:
        steps.run("lie down", asleep.set)
        steps.sleep(3600)
        return None

    with running(quick(settings.url, stop_grace_s=60), {"nap": nap}) as loop:
        loop.submit("nap", "n")
        asleep.wait(30)
    # The limit of the test is far below the grace of 60 s: a sleeper that held it up would show.
    with running(settings, {"nap": nap}) as loop:
        assert loop.status("n").status is WorkflowStatus.RUNNING


def test_errors_are_told_with_their_class(settings: ControlSettings) -> None:
    """A workflow that raises has failed with the error's code and text, Noria's own or not, and may catch a step's."""

    def fail(steps: Steps, app: object, kind: str) -> JSON:
        errors: dict[str, Exception] = {
            "ours": NotFound("There is no model `x`", hint="noria models"),
            "other": KeyError("x"),
        }

        def step() -> None:
            raise errors[kind]

        steps.run("raise", step)
        return None

    def answer_no_json(steps: Steps, app: object) -> Any:
        return {1, 2}

    def catch(steps: Steps, app: object) -> JSON:
        try:
            return fail(steps, app, "ours")
        except NotFound as error:
            return error.hint

    with running(settings, {"fail": fail, "set": answer_no_json, "catch": catch}) as loop:
        loop.submit("fail", "ours", "ours")
        loop.submit("fail", "other", "other")
        loop.submit("set", "set")
        loop.submit("catch", "catch")
        ours, other, no_json, caught = (finished(loop, name) for name in ("ours", "other", "set", "catch"))

    assert {ours.status, other.status, no_json.status} == {WorkflowStatus.FAILED}
    assert (ours.error.code, ours.error.hint) == ("not_found", "noria models")
    assert (other.error.code, other.error.message) == ("failed", "KeyError: 'x'")
    assert no_json.error.message == "The answer of workflow `set` cannot be recorded: `$` is a `set`"
    assert (caught.status, caught.answer) == (WorkflowStatus.SUCCEEDED, "noria models")


def test_what_cannot_be_started_is_refused(settings: ControlSettings) -> None:
    """Unknown names, arguments that are not JSON, another kind's id and a loop that does not run are refused."""

    def nothing(steps: Steps, app: object, *arguments: JSON) -> JSON:
        return None

    with running(settings, {"rollout": nothing, "decide": nothing}) as loop:
        with pytest.raises(NotFound, match="There is no workflow `rolout`") as unknown:
            loop.submit("rolout", "r")
        with pytest.raises(
            Invalid, match=r"Argument 2 of workflow `rollout` cannot be recorded: `\$` is a `set`"
        ):
            loop.submit("rollout", "r", "fine", {1})  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="A workflow needs an id that is not empty"):
            loop.submit("rollout", " ")
        loop.submit("rollout", "r")
        with pytest.raises(Conflict, match="The id `r` belongs to the workflow `rollout`, not to `decide`"):
            loop.submit("decide", "r")
        with pytest.raises(NotFound, match="There is no workflow `q`"):
            loop.status("q")
        with pytest.raises(NotFound, match="There is no workflow `q`"):
            loop.cancel("q")
    with pytest.raises(Unavailable, match="The control loop does not run in this process"):
        loop.submit("rollout", "s")

    assert unknown.value.hint == "Did you mean `rollout`?"


def test_a_call_that_meets_the_stop_can_be_repeated(settings: ControlSettings) -> None:
    """A thread that is about to submit while the loop ends is told so, and submits again once it runs."""
    calls: list[int] = []

    def work(steps: Steps, app: object) -> JSON:
        calls.append(1)
        return None

    with running(settings, {"work": work}) as loop:
        engine = loop._engine
    with pytest.raises(Unavailable, match="The control loop is stopping"):
        engine.start("work", "w", ())
    with running(settings, {"work": work}) as loop:
        loop.submit("work", "w")
        finished(loop, "w")

    assert calls == [1]


def test_one_loop_in_a_process(settings: ControlSettings) -> None:
    """A second loop in the same process is refused and leaves the first one alone."""

    def nothing(steps: Steps, app: object) -> JSON:
        return None

    with running(settings, {"w": nothing}) as loop:
        with pytest.raises(Conflict, match="A control loop already runs in this process"), running(settings):
            pass
        loop.submit("w", "w")
        state = finished(loop, "w")

    assert state.status is WorkflowStatus.SUCCEEDED


def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A loop whose database cannot be opened says which and why, and can be started once it can."""
    url = f"sqlite:///{tmp_path}/missing/control.db"
    loop = ControlLoop(settings=ControlSettings(url=url), app=None, clock=SystemClock())
    with pytest.raises(
        Unavailable, match=r"cannot open its database `sqlite:///.*control.db`: unable to open"
    ):
        loop.start()
    (tmp_path / "missing").mkdir()
    loop.start()
    started = loop.is_running
    loop.stop()

    assert started


def test_the_password_of_a_database_that_is_gone_is_not_told() -> None:
    """The message about a server that does not answer has its address but not the password."""
    url = "postgresql+psycopg://noria:hidden@127.0.0.1:1/noria"
    loop = ControlLoop(settings=ControlSettings(url=url), app=None, clock=SystemClock())

    with pytest.raises(Unavailable) as caught:
        loop.start()

    assert "noria:***@127.0.0.1:1/noria" in caught.value.message
    assert "hidden" not in str(caught.value)


def test_a_cancelled_workflow_goes_no_further(each: ControlSettings) -> None:
    """A cancelled workflow wakes from its sleep, takes no further step, and is not taken up by the next start."""
    done: list[str] = []

    def work(steps: Steps, app: object) -> JSON:
        steps.run("first", lambda: done.append("first"))
        steps.sleep(3600)
        steps.run("second", lambda: done.append("second"))
        return None

    with running(each, {"work": work}) as loop:
        loop.submit("work", "w")
        wait_until(lambda: done == ["first"])
        loop.cancel("w")
        wait_until(lambda: not loop._engine.runs_any("work"))
        loop.cancel("w")
        state = loop.status("w")
    with running(each, {"work": work}) as loop:
        loop.submit("work", "w")
        again = loop.status("w")

    assert state.status is WorkflowStatus.CANCELLED
    assert again == state
    assert done == ["first"]


def test_a_workflow_may_start_another(settings: ControlSettings) -> None:
    """A workflow can submit others, from a step or between steps, and they do not count among its own steps."""
    loops: list[ControlLoop] = []

    def child(steps: Steps, app: object) -> JSON:
        return steps.run("answer", lambda: 42)

    def parent(steps: Steps, app: object) -> JSON:
        steps.run("submit", lambda: loops[0].submit("child", "from step"))
        loops[0].submit("child", "between steps")
        return steps.run("after", lambda: "done")

    with running(settings, {"child": child, "parent": parent}) as loop:
        loops.append(loop)
        loop.submit("parent", "p")
        answers = [finished(loop, name).answer for name in ("p", "from step", "between steps")]
        parents = _rows(settings, "select parent_workflow_id from workflow_status")
        steps = _rows(settings, "select function_name from operation_outputs where workflow_uuid = 'p'")

    assert answers == ["done", 42, 42]
    assert set(parents) == {(None,)}
    assert sorted(steps) == [("after",), ("submit",)]


def test_a_workflow_whose_function_is_gone_is_left(
    settings: ControlSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A workflow that nobody declares any more is logged and waits until it is declared again; the others go on."""
    asleep = threading.Event()

    def old(steps: Steps, app: object) -> JSON:
        steps.run("lie down", asleep.set)
        steps.sleep(0.3)
        return "back"

    def other(steps: Steps, app: object) -> JSON:
        return "fine"

    with running(settings, {"old": old}) as loop:
        loop.submit("old", "o")
        asleep.wait(30)
    with running(settings, {"other": other}) as loop:
        wait_until(
            lambda: any("`old`" in r.getMessage() or "old is not" in r.getMessage() for r in caplog.records)
        )
        loop.submit("other", "x")
        fine = finished(loop, "x")
        left = loop.status("o")
    with running(settings, {"old": old, "other": other}) as loop:
        back = finished(loop, "o")

    assert fine.answer == "fine"
    assert left.status is WorkflowStatus.RUNNING
    assert back.answer == "back"


def test_any_number_of_restarts_is_survived(settings: ControlSettings) -> None:
    """A workflow that was taken up far more often than the engine's own limit of 100 is taken up once more."""
    asleep = threading.Event()

    def work(steps: Steps, app: object) -> JSON:
        steps.run("lie down", asleep.set)
        steps.sleep(0.3)
        return "survived"

    with running(settings, {"work": work}) as loop:
        loop.submit("work", "w")
        asleep.wait(30)
    _execute(settings, "update workflow_status set recovery_attempts = 5000")
    with running(settings, {"work": work}) as loop:
        state = finished(loop, "w")

    assert state.answer == "survived"


def test_nothing_is_pickled(each: ControlSettings) -> None:
    """Every argument, answer, error and sleep in the database is JSON, and says so."""

    def work(steps: Steps, app: object, fail: bool) -> JSON:
        steps.run("answer", lambda: {"n": 1})
        steps.now()
        steps.sleep(0.01)

        def step() -> None:
            raise ValueError("no")

        return steps.run("raise", step) if fail else "done"

    ticked = threading.Event()
    with running(each, {"work": work}, ticks=[Tick("t", 0.1, lambda *_: ticked.set())]) as loop:
        loop.submit("work", "a", True)
        loop.submit("work", "b", False)
        finished(loop, "a")
        finished(loop, "b")
        assert ticked.wait(60)
    texts, forms = _payloads(each)

    # Two workflows with an argument, an answer and three or four steps each, and a tick at work.
    assert len(texts) >= 12
    assert {text[:9] for text in texts} == {'{"value":', '{"error":', "{}"}
    assert forms == {"noria_json"}
    assert not [text for text in texts if _unpickles(text)]


def test_a_pickle_in_the_database_is_never_opened(settings: ControlSettings, tmp_path: Path) -> None:
    """A record that names pickle, as a workspace folder from a stranger could hold, runs no code."""
    asleep = threading.Event()

    def work(steps: Steps, app: object, argument: JSON) -> JSON:
        steps.run("lie down", asleep.set)
        steps.sleep(0.2)
        return "ran"

    def fine(steps: Steps, app: object) -> JSON:
        return "fine"

    with running(settings, {"work": work}) as loop:
        loop.submit("work", "w", "x")
        asleep.wait(30)
    trace = tmp_path / "trace"
    bomb = base64.b64encode(pickle.dumps(_Bomb(str(trace)))).decode()
    _execute(settings, "update workflow_input set inputs = :bomb", bomb=bomb)
    _execute(settings, "update workflow_status set serialization = 'py_pickle'")
    with running(settings, {"work": work, "fine": fine}) as loop:
        wait_until(lambda: _rows(settings, "select 1 from workflow_status where recovery_attempts > 1"))
        loop.submit("fine", "f")
        finished(loop, "f")
        state = loop.status("w")

    assert not trace.exists()
    assert state.answer is None


def test_each_interval_has_one_tick(settings: ControlSettings) -> None:
    """While the loop is up each interval is ticked once, in order, and a restart repeats none."""
    starts: list[datetime] = []

    def tick(steps: Steps, app: object, start: datetime) -> JSON:
        steps.run("note", lambda: starts.append(start))
        return None

    ticks = [Tick("t", 0.2, tick)]
    with running(settings, ticks=ticks):
        wait_until(lambda: len(starts) >= 4)
    n_before = len(starts)
    with running(settings, ticks=ticks):
        wait_until(lambda: len(starts) >= n_before + 3)

    # A machine that is busy for longer than an interval skips one; it never ticks one twice.
    assert starts == sorted(set(starts))
    assert {start.microsecond % 200_000 for start in starts} == {0}


def test_a_tick_does_not_overtake_the_one_before(settings: ControlSettings) -> None:
    """While a tick takes longer than its interval no other of its name begins, and then the present one does."""
    running_now, at_most, done = [0], [0], [0]
    hold = threading.Event()

    def tick(steps: Steps, app: object, start: datetime) -> JSON:
        running_now[0] += 1
        at_most[0] = max(at_most[0], running_now[0])
        if not done[0]:
            hold.wait(30)
        running_now[0] -= 1
        done[0] += 1
        return None

    rounds = [0]
    chore = Chore("count", 0.02, lambda _: rounds.__setitem__(0, rounds[0] + 1))
    with running(settings, ticks=[Tick("t", 0.02, tick)], chores=[chore]):
        wait_until(lambda: running_now[0] == 1)
        seen = rounds[0]
        wait_until(lambda: rounds[0] > seen + 10)
        hold.set()
        wait_until(lambda: done[0] >= 3)

    assert at_most == [1]


def test_each_event_is_reacted_to_once(settings: ControlSettings) -> None:
    """Each event of a type starts one workflow, even if the cursor was lost; other events only move the cursor."""
    seen: list[Any] = []

    def react(steps: Steps, app: object, event: JSON) -> JSON:
        steps.run("note", lambda: seen.append(event))
        return None

    log = Log("alert.opened", "run.finished", "alert.opened")
    declared: dict[str, Any] = {
        "reactions": [Reaction("decide", frozenset({"alert.opened"}), "react")],
        "events": log,
    }
    with running(settings, {"react": react}, **declared) as loop:
        wait_until(lambda: len(seen) == 2)
        finished(loop, "decide:1")
    moved = dict(log.cursors)
    log.cursors.clear()
    log.events.append(Event(4, "alert.opened", payload={"window": 3}))
    with running(settings, {"react": react}, **declared) as loop:
        wait_until(lambda: len(seen) == 3)
        last = finished(loop, "decide:4")

    assert moved == {"decide": 3}
    assert sorted(event["position"] for event in seen) == [1, 3, 4]
    assert seen[-1] == {
        "position": 4,
        "type": "alert.opened",
        "subject": "endpoint:digits",
        "project": "default",
        "payload": {"window": 3},
    }
    assert last.name == "react"


def test_events_that_concern_no_reaction_cost_one_look(settings: ControlSettings) -> None:
    """A log that is busy with other things is looked at once, and read by a reaction when an event of its own comes."""
    seen: list[int] = []

    def react(steps: Steps, app: object, event: Any) -> JSON:
        seen.append(event["position"])
        return None

    log = Log("run.finished")
    reactions = [Reaction(name, frozenset({f"{name}.opened"}), "react") for name in ("alert", "door", "gate")]
    rounds = [0]
    chore = Chore("count", 0.02, lambda _: rounds.__setitem__(0, rounds[0] + 1))
    with running(settings, {"react": react}, reactions=reactions, events=log, chores=[chore]):
        wait_until(lambda: rounds[0] > 3)
        before = log.n_reads
        for _ in range(5):
            log.come(*["run.finished"] * 50)
            rounds[0] = 0
            wait_until(lambda: rounds[0] > 3)
        quiet = log.n_reads
        log.come("run.finished", "door.opened", "run.finished")
        wait_until(lambda: seen == [253])

    assert before <= len(reactions)
    assert quiet == before
    assert log.n_reads == before + 1


def test_a_reaction_may_ask_whether_it_is_needed(settings: ControlSettings) -> None:
    """Where a workflow is not needed none is started, and the cursor moves past the event."""
    seen: list[int] = []

    def react(steps: Steps, app: object, event: Any) -> JSON:
        seen.append(event["position"])
        return None

    log = Log(*["alert.opened"] * 4)
    needed = Reaction(
        "decide", frozenset({"alert.opened"}), "react", when=lambda _, event: event.position % 2 == 0
    )
    with running(settings, {"react": react}, reactions=[needed], events=log) as loop:
        wait_until(lambda: log.cursors.get("decide") == 4 and len(seen) == 2)
        with pytest.raises(NotFound):
            loop.status("decide:1")

    assert sorted(seen) == [2, 4]


def test_reactions_outlive_a_log_that_fails(settings: ControlSettings) -> None:
    """While the log of events does not answer, the rest goes on; afterwards every event is reacted to."""
    seen: list[int] = []
    chores = [0]

    def react(steps: Steps, app: object, event: Any) -> JSON:
        seen.append(event["position"])
        return None

    log = Log(*["alert.opened"] * 120)
    log.broken = True
    with running(
        settings,
        {"react": react},
        reactions=[Reaction("decide", frozenset({"alert.opened"}), "react")],
        events=log,
        chores=[Chore("c", 0.02, lambda _: chores.__setitem__(0, chores[0] + 1))],
    ):
        wait_until(lambda: chores[0] > 5)
        before = list(seen)
        log.broken = False
        wait_until(lambda: len(seen) == 120, 60)

    assert before == []
    assert sorted(seen) == list(range(1, 121))


def test_declarations_that_do_not_fit_are_refused(settings: ControlSettings) -> None:
    """Two workflows of one name, a reaction to an unknown workflow and a reaction without a log are refused."""
    one = Workflow("one", lambda *_: None)
    reaction = Reaction("r", frozenset({"alert.opened"}), "one")

    def build(**declared: Any) -> ControlLoop:
        return ControlLoop(settings=settings, app=None, clock=SystemClock(), **declared)

    with pytest.raises(Invalid, match="Two workflows or ticks have the name `one`"):
        build(workflows=[one], ticks=[Tick("one", 1, lambda *_: None)])
    with pytest.raises(NotFound, match="There is no workflow `one`"):
        build(reactions=[reaction], events=Log())
    with pytest.raises(Invalid, match="Reactions need a log of events"):
        build(workflows=[one], reactions=[reaction])


def test_finished_workflows_are_forgotten(each: ControlSettings) -> None:
    """Old records of finished workflows are deleted with their steps, those of ticks sooner; unfinished ones stay."""

    def work(steps: Steps, app: object) -> JSON:
        return steps.run("answer", lambda: 1)

    def nap(steps: Steps, app: object) -> JSON:
        steps.sleep(3600)
        return None

    functions: Functions = {"work": work, "nap": nap}
    ticks = [Tick("t", 0.1, lambda steps, *_: steps.run("x", lambda: 1))]
    with running(each, functions, ticks=ticks) as loop:
        loop.submit("work", "w")
        loop.submit("nap", "n")
        finished(loop, "w")
        wait_until(lambda: len(_rows(each, "select 1 from workflow_status where name = 't'")) > 2)
    ticks_only = quick(each.url, keep_ticks_s=0, forget_every_s=0.1)
    with running(ticks_only, functions, ticks=[Tick("t", 1e9, lambda *_: None)]) as loop:
        wait_until(lambda: len(_rows(each, "select 1 from workflow_status where name = 't'")) <= 1)
        kept = loop.status("w")
    everything = quick(each.url, keep_s=0, forget_every_s=0.1)
    with running(everything, functions) as loop:
        wait_until(lambda: not _rows(each, "select 1 from workflow_status where workflow_uuid = 'w'"))
        left = _rows(each, "select workflow_uuid from workflow_status where name <> 't'")
        steps = _rows(each, "select distinct workflow_uuid from operation_outputs where function_name <> 'x'")

    assert kept.status is WorkflowStatus.SUCCEEDED
    assert left == [("n",)]
    assert steps == [("n",)]


def test_what_could_not_be_recorded_is_taken_up_again(each: ControlSettings) -> None:
    """A workflow whose step cannot be recorded, as on a full disk, has not failed and is done once it can be."""
    called = threading.Event()

    def answer() -> str:
        called.set()
        return "recorded"

    def work(steps: Steps, app: object) -> JSON:
        return steps.run("answer", answer)

    patient = quick(each.url, revive_s=0.3)
    with running(patient, {"work": work}) as loop:
        _refuse_records(each)
        loop.submit("work", "w")
        called.wait(30)
        wait_until(lambda: not loop._engine.runs_any("work"))
        stopped = loop.status("w")
        _accept_records(each)
        state = finished(loop, "w")

    assert stopped.status is WorkflowStatus.RUNNING
    assert (state.status, state.answer) == (WorkflowStatus.SUCCEEDED, "recorded")


def test_the_engine_rests_where_nothing_waits_for_it(settings: ControlSettings) -> None:
    """Between two looks for what has no setting; another version of DBOS that names this differently is noticed."""
    with running(settings, {}):
        queue = dbos_module._dbos_global_instance._registry.get_internal_queue()  # type: ignore[union-attr]
        looked = (
            queue.__dict__["_polling_interval_sec"],
            vars(workflow_commands)["_BACKGROUND_JOBS_INTERVAL_SEC"],
            vars(scheduler)["_STARTUP_FAST_POLL_INTERVAL_SEC"],
        )

    assert looked == (RESUMING_S, SWEEPING_S, SWEEPING_S)
    names = set(scheduler.dynamic_scheduler_loop.__code__.co_names)
    for inner in scheduler.dynamic_scheduler_loop.__code__.co_consts:
        names |= set(getattr(inner, "co_names", ()))
    assert "_STARTUP_FAST_POLL_INTERVAL_SEC" in names
    assert "_BACKGROUND_JOBS_INTERVAL_SEC" in workflow_commands.background_jobs_thread.__code__.co_names
    assert "_polling_interval_sec" in queue_worker_thread.__code__.co_names


def test_the_engine_is_heard_in_our_log_only(
    settings: ControlSettings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written to the terminal, and a failure is logged once, as ours, with the id and the user's frames."""

    def fail(steps: Steps, app: object) -> JSON:
        raise ValueError("no such digit")

    caplog.set_level(logging.INFO)
    with running(settings, {"fail": fail}) as loop:
        loop.submit("fail", "f")
        finished(loop, "f")
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]

    assert [(r.name, r.getMessage(), r.__dict__["workflow_id"]) for r in records] == [
        ("noria.control", "control.workflow_failed", "f")
    ]
    assert records[0].exc_info is not None
    assert str(records[0].exc_info[1]) == "no such digit"
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("dbos").handlers == []


def test_the_loop_has_a_database_of_its_own(tmp_path: Path, each: ControlSettings) -> None:
    """Beside SQLite it is a file in the workspace folder; in PostgreSQL a schema."""
    with running(each):
        tables = _rows(each, "select count(*) from workflow_status")

    assert control_url(tmp_path, f"sqlite:///{tmp_path}/noria.db") == f"sqlite:///{tmp_path}/control.db"
    assert control_url(tmp_path, "postgresql://h/d") == "postgresql://h/d"
    assert tables == [(0,)]


class _Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.path,))


def _unpickles(text: str) -> bool:
    try:
        pickle.loads(base64.b64decode(text, validate=True))  # noqa: S301 - our own test data
    except Exception:  # noqa: BLE001 - anything at all means that it is none
        return False
    return True


def _payloads(settings: ControlSettings) -> tuple[list[str], set[str]]:
    texts: list[str] = []
    for query in (
        "select inputs from workflow_input",
        "select output, error from workflow_output",
        "select inputs, output, error from workflow_status",
        "select output, error from operation_outputs",
    ):
        texts += [cell for row in _rows(settings, query) for cell in row if cell is not None]
    forms = {
        form
        for table in ("workflow_status", "operation_outputs")
        for (form,) in _rows(settings, f"select serialization from {table}")  # noqa: S608
    }
    return texts, forms


def _refuse_records(settings: ControlSettings) -> None:
    if settings.url.startswith("sqlite"):
        _execute(
            settings,
            "create trigger full_disk before insert on operation_outputs "
            "begin select raise(abort, 'database or disk is full'); end",
        )
    else:
        _execute(settings, "alter table operation_outputs add constraint full_disk check (false) not valid")


def _accept_records(settings: ControlSettings) -> None:
    if settings.url.startswith("sqlite"):
        _execute(settings, "drop trigger full_disk")
    else:
        _execute(settings, "alter table operation_outputs drop constraint full_disk")


def _rows(settings: ControlSettings, query: str) -> list[tuple[Any, ...]]:
    with _connection(settings) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def _execute(settings: ControlSettings, statement: str, **values: str) -> None:
    with _connection(settings) as connection:
        connection.execute(sa.text(statement), values)


@contextmanager
def _connection(settings: ControlSettings) -> Iterator[sa.Connection]:
    engine = sa.create_engine(settings.url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"set local search_path to {SCHEMA}"))
            yield connection
    finally:
        engine.dispose()
