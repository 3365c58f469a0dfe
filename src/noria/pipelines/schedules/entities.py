"""Schedules as they are declared and kept, their runs, and the pure rules on both."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec

from noria.core.config import Section
from noria.pipelines.job_entities import DEFAULT_QUEUE

MAX_CATCHUP = 1000
MAX_BACKFILL = 1000
"""Intervals of one backfill."""

MAX_WAITING = 100
"""Runs of a schedule that wait for their turn, those of backfills apart."""

MAX_AT_ONCE = 16
"""Runs of a schedule that run at once, where they may."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_CATCHUP)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Overlap(enum.StrEnum):
    """What becomes of a run whose predecessor has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL = "cancel"
    ALLOW = "allow"


class Aside(enum.StrEnum):
    """What a pipeline may do where a decision runs it aside, on inputs that it had, to see what it makes of them.

    `CONFINED`: compute, with no connection and no write outside of its folder. `FREE`: whatever it does else, once
    more. `NEVER`: it is not run aside.
    """

    CONFINED = "confined"
    FREE = "free"
    NEVER = "never"


class Told(enum.StrEnum):
    """What people are told of."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    SUCCESS = "success"


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a schedule runs after; exactly one of `dataset`, `event`, `alert`, `schedule` and `webhook`.

    Attributes
    ----------
    dataset
        Name of a dataset: each new version.
    event
        Type of an event, such as `model.alias_moved`.
    subject
        With `event`: only what happened to this, such as `model:digits`; its versions count too.
    alert
        Name of an endpoint: each alert that its monitor opens.
    schedule
        Name of another schedule of the project: each run of it that succeeded.
    webhook
        True: each signed call of the schedule's own address.
    """

    dataset: str | None = None
    event: str | None = None
    subject: str | None = None
    alert: str | None = None
    schedule: str | None = None
    webhook: bool = False


class ScheduleSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[schedules]]`: a pipeline that runs by the clock or after something happened.

    Attributes
    ----------
    name
        Of the schedule, in its project.
    run
        `module:pipeline` or `path/file.py:pipeline`.
    params
        Parameters of the pipeline. In texts, `{interval_start}` and `{interval_end}` become the bounds of the data
        interval, `{start_date}` and `{end_date}` their dates in the schedule's time zone, `{subject}` and `{version}`
        what the event happened to.
    cron
        Five fields: minute, hour, day of the month, month, day of the week.
    every_s
        Instead of `cron`: whole seconds, counted from 1970 in UTC.
    timezone
        Where `cron` is read: `Europe/Berlin`.
    on
        What else starts it.
    catchup
        How many of the intervals that nobody ran while no server was up are run when one is up again: the newest.
    overlap
        `skip`, `queue`, `cancel` (the one that runs) or `allow`.
    queue
        Queue of the workers that run it.
    timeout_s, attempts
        Of its jobs.
    notify
        `mailto:` and `https://` addresses.
    notify_on
        What they are told of: `failure` (the first of several), `recovery`, `success`.
    aside
        What the pipeline may do where a decision runs it aside to find a cause: `confined` (neither connect to
        anything nor write outside of its folder), `free` (have its effects outside of Noria again), or `never` run.
    """

    name: str
    run: str
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    cron: str | None = None
    every_s: Annotated[int, msgspec.Meta(ge=1)] | None = None
    timezone: str = "UTC"
    on: Trigger | None = None
    catchup: Count = 1
    overlap: Overlap = Overlap.SKIP
    queue: str = DEFAULT_QUEUE
    timeout_s: Seconds = 3600.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    notify: tuple[str, ...] = ()
    notify_on: tuple[Told, ...] = (Told.FAILURE, Told.RECOVERY)
    aside: Aside = Aside.CONFINED

    @property
    def has_intervals(self) -> bool:
        """Whether it runs by the clock."""
        return self.cron is not None or self.every_s is not None

    @property
    def timing(self) -> tuple[object, ...]:
        """What its intervals depend on."""
        return self.cron, self.every_s, self.timezone


class ScheduleStatus(enum.StrEnum):
    """Whether a schedule starts anything."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


class Cause(enum.StrEnum):
    """Why there is a run."""

    INTERVAL = "interval"
    MISSED = "missed"
    BACKFILL = "backfill"
    MANUAL = "manual"
    EVENT = "event"
    WEBHOOK = "webhook"


class RunState(enum.StrEnum):
    """Where a run of a schedule stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether nothing happens to it any more, unless a person asks for it again."""
        return self not in (RunState.WAITING, RunState.RUNNING)


MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset({RunState.RUNNING, RunState.SKIPPED, RunState.CANCELLED, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    **{state: frozenset({RunState.WAITING}) for state in RunState if state.ended},
}
"""The moves there are; out of an end only when a person asks for the run again, as its next attempt."""


class ScheduleRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a schedule: of an interval, or after something happened.

    Attributes
    ----------
    key
        What it is for; a schedule has one run of a key: the interval's start, `event:<position>`, `webhook:<digest>`.
    interval_start, interval_end
        The data interval; of a `missed` run the whole time that was passed over.
    attempt
        From 1; how often people asked for it.
    job_id
        Of this attempt, once there is one.
    revision
        Of the schedule, that the job was made from.
    run_id
        The run of the pipeline that the job made, once it has ended well.
    reason
        Why it was skipped or failed.
    details
        What is put into the parameters besides the interval.
    """

    id: str
    schedule: str
    key: str
    cause: Cause
    state: RunState
    attempt: int
    interval_start: datetime | None
    interval_end: datetime | None
    job_id: str | None
    revision: int | None = None
    run_id: str | None = None
    backfill: str | None
    reason: str | None
    details: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ScheduleRunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first; `next` continues."""

    items: list[ScheduleRun]
    next: str | None


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """That a schedule runs one revision, whatever is applied later: who said so, when and why."""

    by: str
    at: datetime
    reason: str = ""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the workspace keeps it.

    Attributes
    ----------
    snapshot
        Digest of the code that it runs; None for a pipeline that comes with Noria.
    applied_by
        Who bound code and declaration together; its jobs run with this person's rights.
    next_start, next_due
        Bounds of the interval that comes next: it runs when it is over.
    failing_since
        Since when no run has succeeded; None while all is well.
    n_failures
        Runs that failed since then.
    revision, newest
        Number of the revision that it runs, and of the one that was applied last; they differ only where it is pinned.
    pin
        None where it runs what was applied last.
    """

    id: str
    project: str
    name: str
    spec: ScheduleSection
    snapshot: str | None
    status: ScheduleStatus
    applied_by: str
    applied_at: datetime
    next_start: datetime | None
    next_due: datetime | None
    failing_since: datetime | None
    n_failures: int
    revision: int = 1
    newest: int = 1
    pin: Pin | None = None


class SchedulePage(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules, by name."""

    items: list[Schedule]


class NewSchedules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Schedules to take over.

    Attributes
    ----------
    snapshot
        Digest of the project's code; needed unless every pipeline comes with Noria.
    prune
        Whether schedules that are not among these are removed.
    unpin
        Names of pinned schedules that run what is applied here; the others go on with what they are pinned to.
    """

    schedules: list[ScheduleSection]
    snapshot: str | None = None
    prune: bool = False
    unpin: list[str] = []


class AppliedSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a schedule.

    Attributes
    ----------
    change
        `new`, `changed`, `same`, `removed`, `kept` (not declared, and left as it is) or `pinned` (what was applied is
        kept as its newest revision, and it goes on with the one that it is pinned to).
    snapshot
        Digest of the code that it runs.
    revision, newest
        As those of the schedule.
    """

    name: str
    change: str
    snapshot: str | None
    next_due: datetime | None
    revision: int = 1
    newest: int = 1


class AppliedSchedules(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the schedules of a project."""

    items: list[AppliedSchedule]


class NewBackfill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Intervals of the past to run.

    Attributes
    ----------
    start, end
        The intervals that begin from `start` on and have ended by `end`.
    at_once
        How many run at the same time.
    again
        Whether intervals that succeeded run again, too.
    """

    start: datetime
    end: datetime
    at_once: Annotated[int, msgspec.Meta(ge=1, le=MAX_AT_ONCE)] = 1
    again: bool = False


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backfill has come: runs by state."""

    id: str
    schedule: str
    start: datetime
    end: datetime
    at_once: int
    requested_by: str
    created_at: datetime
    stopped_at: datetime | None
    counts: dict[str, int]


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """The address that starts a schedule, and the secrets of its calls and of the notices it sends.

    Attributes
    ----------
    path
        Behind the address of the server.
    """

    path: str
    secret: str
    notice_secret: str
