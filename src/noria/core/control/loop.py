"""The control loop: one per workspace, in the process that holds the workspace's lock."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from noria.core.clock import Clock
from noria.core.control.engine import Engine, Function, WorkflowState
from noria.core.control.pacer import Pacer, Source
from noria.core.control.workflows import (
    JSON,
    Chore,
    EventReader,
    LoggedEvent,
    Reaction,
    Steps,
    Tick,
    Workflow,
    event_arguments,
    interval_id,
    interval_start,
)
from noria.core.errors import Invalid, Unavailable, unknown_name

DATABASE_FILE = "control.db"

_BATCH = 100
_UNKEPT_POSITIONS = 10_000
"""After a restart at most so many events are passed over once more."""

_FORGET_BATCH = 500

_log = logging.getLogger("noria.control")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """How the loop runs.

    Attributes
    ----------
    url
        Database of the loop: `sqlite:///…`, or `postgresql://…` where it has the schema `noria_control`.
    poll_s
        How often the loop looks for new events and intervals.
    stop_grace_s
        How long `stop` waits for running steps before it leaves them to the next start.
    revive_s
        A workflow whose progress could not be recorded, as on a full disk, is taken up again after about this long.
    keep_s
        How long the record of a finished workflow is kept; a workflow of its id cannot be started again so long.
    keep_ticks_s
        The same for ticks, which are many, and of which none is ever started for a past interval.
    forget_every_s
        How often records that are old enough are deleted.
    """

    url: str
    poll_s: float = 0.25
    stop_grace_s: float = 1.5
    revive_s: float = 30.0
    keep_s: float = 7 * 86_400.0
    keep_ticks_s: float = 3_600.0
    forget_every_s: float = 60.0


def control_url(folder: Path, database_url: str) -> str:
    """Give the URL of the loop's own database: a file in the workspace folder, or the PostgreSQL of the workspace.

    Parameters
    ----------
    folder
        Folder of the workspace.
    database_url
        URL of the workspace's database.
    """
    if database_url.startswith("postgres"):
        return database_url
    return f"sqlite:///{folder / DATABASE_FILE}"


class ControlLoop:
    """Runs what the capabilities declare, and resumes at `start` what a killed or stopped loop left unfinished.

    At most one may run on a database: hold the workspace's lock (`noria.core.control.lock`) from before `start` until
    after `stop`. At most one runs in a process. `submit`, `cancel` and `status` may be called from any thread, but
    not from the thread of an event loop, since they wait for the database.

    Parameters
    ----------
    app
        Handed to every function; the server's way to give workflows access to its services.
    events
        Log that the reactions read; not needed without reactions.
    clock
        Names intervals and times sleeps. Waiting itself takes real time.
    """

    def __init__(
        self,
        *,
        settings: ControlSettings,
        app: object,
        clock: Clock,
        workflows: Sequence[Workflow] = (),
        ticks: Sequence[Tick] = (),
        reactions: Sequence[Reaction] = (),
        chores: Sequence[Chore] = (),
        events: EventReader | None = None,
    ) -> None:
        self._settings = settings
        self._app = app
        self._clock = clock
        self._ticks = tuple(ticks)
        self._reactions = tuple(reactions)
        self._chores = tuple(chores)
        self._events = events
        self._functions = self._bind(workflows)
        again = frozenset(declared.name for declared in workflows if declared.begins_again)
        self._engine = Engine(url=settings.url, functions=self._functions, clock=clock, begin_again=again)
        self._pacer: Pacer | None = None
        self._cursors: dict[str, int] = {}
        self._kept_cursors: dict[str, int] = {}
        self._head = self._looked_from = 0
        self._newest: dict[str, int] = {}
        self._begun: dict[str, datetime] = {}
        self._require_workflows_of_reactions()

    def start(self) -> None:
        """Launch the engine, resume unfinished workflows, and begin to look for events and intervals.

        Raises
        ------
        Conflict
            If another loop runs in this process.
        Unavailable
            If the loop's database cannot be opened.
        """
        self._engine.launch()
        self._cursors.clear()
        self._begun.clear()
        self._pacer = Pacer(self._sources())
        self._pacer.start()
        _log.info("control.started", extra={"n_workflows": len(self._functions)})

    def stop(self) -> None:
        """End within about `stop_grace_s`; what has not finished is resumed by the next start."""
        pacer, self._pacer = self._pacer, None
        if pacer is None:
            return
        deadline = time.monotonic() + self._settings.stop_grace_s
        pacer.stop(self._settings.stop_grace_s)
        self._engine.shut_down(max(0.0, deadline - time.monotonic()))
        _log.info("control.stopped")

    @property
    def is_running(self) -> bool:
        """Tell whether the loop was started and not stopped."""
        return self._pacer is not None

    def submit(self, name: str, workflow_id: str, *arguments: JSON) -> None:
        """Start a workflow, unless one of this id was started before; it is on record when this returns.

        Raises
        ------
        NotFound
            If no workflow of this name was declared.
        Invalid
            If the id is empty or an argument is not JSON.
        Conflict
            If the id belongs to a workflow of another name.
        Unavailable
            If the loop does not run in this process.
        """
        if name not in self._functions:
            raise unknown_name("workflow", name, self._functions)
        self._require_running()
        self._engine.start(name, workflow_id, arguments)

    def cancel(self, workflow_id: str) -> None:
        """Let a workflow go no further than the step it is in; one that has finished stays as it is.

        Raises
        ------
        NotFound
            If there is no record of this id.
        Unavailable
            If the loop does not run in this process.
        """
        self._require_running()
        self._engine.cancel(workflow_id)

    def status(self, workflow_id: str) -> WorkflowState:
        """Tell how far a workflow has come, and its answer or error once it has finished.

        Raises
        ------
        NotFound
            If there is no record of this id.
        Unavailable
            If the loop does not run in this process.
        """
        self._require_running()
        return self._engine.state(workflow_id)

    def _bind(self, workflows: Sequence[Workflow]) -> dict[str, Function]:
        functions: dict[str, Function] = {}
        for name, function in [
            *((declared.name, self._workflow_function(declared)) for declared in workflows),
            *((tick.name, self._tick_function(tick)) for tick in self._ticks),
        ]:
            if name in functions:
                raise Invalid(f"Two workflows or ticks have the name `{name}`", hint="Rename one of them")
            functions[name] = function
        return functions

    def _workflow_function(self, declared: Workflow) -> Function:
        def run(steps: Steps, *arguments: JSON) -> JSON:
            return declared.fn(steps, self._app, *arguments)

        return run

    def _tick_function(self, tick: Tick) -> Function:
        def run(steps: Steps, start: str) -> JSON:
            return tick.fn(steps, self._app, datetime.fromisoformat(start))

        return run

    def _require_workflows_of_reactions(self) -> None:
        for reaction in self._reactions:
            if reaction.workflow not in self._functions:
                raise unknown_name("workflow", reaction.workflow, self._functions)
        if self._reactions and self._events is None:
            raise Invalid("Reactions need a log of events to read", hint="Pass `events=`")

    def _require_running(self) -> None:
        if self._pacer is None:
            raise Unavailable(
                "The control loop does not run in this process",
                hint="It runs in the server that holds the workspace: `noria up`",
            )

    def _sources(self) -> list[Source]:
        poll_s = self._settings.poll_s
        return [
            *(Source(t.name, min(poll_s, t.every_s), partial(self._begin_interval, t)) for t in self._ticks),
            *([Source("look for events", poll_s, self._look)] if self._reactions else []),
            *(Source(r.name, poll_s, partial(self._react, r)) for r in self._reactions),
            *(Source(c.name, c.every_s, partial(c.fn, self._app)) for c in self._chores),
            Source("revive workflows", self._settings.revive_s, self._revive),
            Source("forget finished workflows", self._settings.forget_every_s, self._forget),
        ]

    def _begin_interval(self, tick: Tick) -> None:
        start = interval_start(self._clock.now(), tick.every_s)
        if self._begun.get(tick.name) == start or self._engine.runs_any(tick.name):
            return
        self._engine.start(tick.name, interval_id(tick.name, start), (start.isoformat(),))
        self._begun[tick.name] = start

    def _look(self) -> None:
        """Find the end of the log and which types of event came, once for all reactions."""
        assert self._events is not None  # noqa: S101 - a loop with reactions is not built without
        head = self._events.last_position()
        if not self._looked_from:
            self._looked_from = head
        elif head > self._head:
            self._newest.update(self._events.newest_by_type(self._head))
        self._head = head

    def _react(self, reaction: Reaction) -> None:
        while self._react_to_batch(reaction) == _BATCH and self._goes_on():
            pass

    def _react_to_batch(self, reaction: Reaction) -> int:
        """Start the workflows before the cursor moves: a kill in between repeats the start, which the id absorbs."""
        log = self._events
        assert log is not None  # noqa: S101 - a loop with reactions is not built without
        after = self._cursors.get(reaction.name)
        if after is None:
            after = self._kept_cursors[reaction.name] = log.cursor(reaction.name)
        head = self._head
        if head <= after:
            self._cursors[reaction.name] = after
            return 0
        found = (
            log.read(after, limit=_BATCH, types=sorted(reaction.event_types))
            if self._may_concern(reaction, after)
            else []
        )
        for event in found:
            if self._is_needed(reaction, event):
                workflow_id = f"{reaction.name}:{event.position}"
                self._engine.start(reaction.workflow, workflow_id, (event_arguments(event),))
        # What came after the head was read is looked at next time, if it is not among the found.
        seen = (
            found[-1].position if len(found) == _BATCH else max(head, *(event.position for event in found), 0)
        )
        self._cursors[reaction.name] = seen
        # Most events concern no reaction, and each write of a cursor takes the writer's place from somebody.
        if found or seen - self._kept_cursors[reaction.name] >= _UNKEPT_POSITIONS:
            log.advance(reaction.name, seen)
            self._kept_cursors[reaction.name] = seen
        return len(found)

    def _may_concern(self, reaction: Reaction, after: int) -> bool:
        """Tell whether an event of a reaction may have come after a position, as far as is known without reading."""
        is_known = 0 < self._looked_from <= after
        return not is_known or any(self._newest.get(each, 0) > after for each in reaction.event_types)

    def _is_needed(self, reaction: Reaction, event: LoggedEvent) -> bool:
        return reaction.when is None or reaction.when(self._app, event)

    def _revive(self) -> None:
        self._engine.revive(self._settings.revive_s)

    def _forget(self) -> None:
        ticks = [tick.name for tick in self._ticks]
        if ticks:
            self._forget_older(self._settings.keep_ticks_s, ticks)
        self._forget_older(self._settings.keep_s, None)

    def _forget_older(self, age_s: float, names: list[str] | None) -> None:
        before = self._clock.now() - timedelta(seconds=age_s)
        while (
            self._engine.forget_finished(before=before, names=names, limit=_FORGET_BATCH) == _FORGET_BATCH
            and self._goes_on()
        ):
            pass

    def _goes_on(self) -> bool:
        return self._pacer is not None and not self._pacer.is_stopping
