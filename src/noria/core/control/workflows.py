"""What a capability declares for the control loop; importing this starts nothing and loads no engine.

Four kinds of work, from the longest-lived to the lightest:

- a `Workflow` is started by `ControlLoop.submit` under an id of its own and survives the death of the process;
- a `Reaction` starts a workflow for each event of some types, once per event;
- a `Tick` is a short workflow for each interval of time;
- a `Chore` is a plain function called again and again, for work that is safe to repeat and needs no record.

A workflow function must take the same path each time it runs with the same recorded answers, because a killed
process runs it again from the top and the recorded steps answer at once. Time, randomness, and everything read from
outside therefore go through `Steps`. A step may run twice when the process dies between its effect and its record,
so its effect is a compare-and-set on our own tables.

A new version of Noria may change the steps of a workflow, or their order, only where the workflow begins again: it
then finds in our own tables how far it had come. A step whose answer changed its form takes another name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias, TypeVar

from noria.core.errors import Invalid

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""What is recorded. At run time: `None`, `bool`, `int`, finite `float`, `str`, `list`, `dict` with text keys."""

T = TypeVar("T", bound=JSON)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Steps(Protocol):
    """The durable primitives that a workflow function is handed."""

    @property
    def workflow_id(self) -> str:
        """Id under which this workflow was started."""
        ...

    def run(self, name: str, fn: Callable[[], T]) -> T:
        """Call `fn` and record what it returns or raises; a rerun of the workflow gets the record instead.

        Parameters
        ----------
        name
            The same at each run. A workflow whose steps changed their names or order cannot be resumed: it fails, or
            begins again if it is declared so.
        fn
            May run twice after a kill. Runs in a thread of its own, which a stopping loop abandons.

        Returns
        -------
        JSON
            The answer as the record gives it back.

        Raises
        ------
        NoriaError
            What `fn` raised; an exception that is not Noria's own becomes `Failed`, at the first run as at a rerun.
        Invalid
            If the answer is not JSON.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. The time to wake up is recorded, so a restart waits only for what is left."""
        ...

    def now(self) -> datetime:
        """Give the present instant in UTC, recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Workflow:
    """A durable function.

    Attributes
    ----------
    name
        Stable for as long as one of its kind may be running: `serving.rollout`.
    fn
        Called with the steps, the app that the server passed to the loop, and the JSON arguments of `submit`.
    begins_again
        What to do when the recorded steps are not those that the function takes, as after an upgrade that changed
        their order. True: call it once more without a record, under an id of its own. It must then find in our tables
        what it has done. False: it fails.
    """

    name: str
    fn: Callable[..., JSON]
    begins_again: bool = False


def workflow(name: str, *, begins_again: bool = False) -> Callable[[Callable[..., JSON]], Workflow]:
    """Declare a function as a workflow.

    Examples
    --------
    >>> @workflow("serving.rollout")
    ... def rollout(steps: Steps, app: object, rollout_id: str) -> JSON:
    ...     return steps.run("first", lambda: rollout_id)
    >>> rollout.name
    'serving.rollout'
    """

    def declare(fn: Callable[..., JSON]) -> Workflow:
        return Workflow(name, fn, begins_again)

    return declare


@dataclass(frozen=True, slots=True)
class Tick:
    """A short workflow for each interval of time, under the id `name:start of the interval`.

    Intervals are counted from 1970 in UTC, so a restart finds the same ones. Each interval runs at most once, and
    exactly once while the loop is up and the ticks are shorter than the interval: an interval that began while the
    one before was still running, or while no loop was up, starts late if it is still the present one and is skipped
    otherwise.

    Attributes
    ----------
    name
        Stable: `monitoring.windows`.
    every_s
        Length of an interval in seconds, at least 0.001. The loop looks every `ControlSettings.poll_s`.
    fn
        Called with the steps, the app, and the start of the interval.
    """

    name: str
    every_s: float
    fn: Callable[[Steps, Any, datetime], JSON]

    def __post_init__(self) -> None:
        """Refuse an interval that has no start."""
        _require_interval(self.name, self.every_s)


@dataclass(frozen=True, slots=True)
class Reaction:
    """A workflow for each event of some types, started once per event under the id `name:position`.

    Attributes
    ----------
    name
        Name of the cursor as well; a new name starts where the reader's cursor says.
    event_types
        Types of event reacted to.
    workflow
        Name of the workflow; it is called with one argument, the event as a JSON object with `position`, `type`,
        `subject`, `project` and `payload`.
    when
        Asked, with the app and the event, whether a workflow is needed at all, where that is cheaper to know than
        starting one; it may be asked again after a kill.
    """

    name: str
    event_types: frozenset[str]
    workflow: str
    when: Callable[[Any, LoggedEvent], bool] | None = None


@dataclass(frozen=True, slots=True)
class Chore:
    """A function called about every `every_s` seconds in the loop's own thread.

    For light work that is safe to repeat and to miss: sealing events, requeueing expired leases. It must return
    soon, since ticks and reactions wait for it. What it raises is logged, and it is called again later.
    """

    name: str
    every_s: float
    fn: Callable[[Any], None]

    def __post_init__(self) -> None:
        """Refuse an interval that has no length."""
        _require_interval(self.name, self.every_s)


class LoggedEvent(Protocol):
    """An event as the loop needs it."""

    @property
    def position(self) -> int:
        """Place in the order of commit, from 1."""
        ...

    @property
    def type(self) -> str:
        """Name of its type."""
        ...

    @property
    def subject(self) -> str:
        """What it happened to."""
        ...

    @property
    def project(self) -> str | None:
        """Project it belongs to."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]:
        """References and figures, as JSON."""
        ...


class EventReader(Protocol):
    """The log of events as the loop reads it, with a cursor per reader."""

    def read(self, after: int, /, *, limit: int = ..., types: list[str]) -> Sequence[LoggedEvent]:
        """List events of these types with a position greater than `after`, in order, at most `limit`."""
        ...

    def last_position(self) -> int:
        """Give the position of the newest event, 0 when there is none."""
        ...

    def newest_by_type(self, after: int, /) -> dict[str, int]:
        """Give the position of the newest event of each type that occurs after a position."""
        ...

    def cursor(self, reader: str, /) -> int:
        """Give the position up to which `reader` has read."""
        ...

    def advance(self, reader: str, position: int, /) -> None:
        """Move the cursor of `reader` forward."""
        ...


def interval_start(now: datetime, every_s: float) -> datetime:
    """Give the start of the interval that `now` falls in.

    Examples
    --------
    >>> interval_start(datetime(2030, 1, 1, 10, 7, 31, tzinfo=UTC), 60).isoformat()
    '2030-01-01T10:07:00+00:00'
    """
    step = timedelta(seconds=every_s)
    return now.astimezone(UTC) - (now - _EPOCH) % step


def interval_id(name: str, start: datetime) -> str:
    """Give the id of the tick of one interval.

    Examples
    --------
    >>> interval_id("monitoring.windows", datetime(2030, 1, 1, 10, 7, tzinfo=UTC))
    'monitoring.windows:2030-01-01T10:07:00+00:00'
    """
    return f"{name}:{start.isoformat()}"


def event_arguments(event: LoggedEvent) -> dict[str, JSON]:
    """Give the JSON object that the workflow of a reaction is called with."""
    return {
        "position": event.position,
        "type": str(event.type),
        "subject": event.subject,
        "project": event.project,
        "payload": dict(event.payload),
    }


def _require_interval(name: str, every_s: float) -> None:
    if not 0.001 <= every_s < float("inf"):
        raise Invalid(
            f"`{name}` cannot happen every `{every_s}` seconds", hint="Give a number of at least 0.001"
        )
