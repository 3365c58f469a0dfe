"""Jobs: work that a worker does for the workspace."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec

from noria.core.config import Section
from noria.core.errors import ErrorBody

DEFAULT_QUEUE = "default"
DEFAULT_ATTEMPTS = 3
DEFAULT_TIMEOUT_S = 3600.0
MAX_TIMEOUT_S = 86_400.0
MAX_LINE_CHARS = 4_000
MAX_LINES_AT_ONCE = 1_000


Limit = Annotated[int, msgspec.Meta(ge=0)]


class JobSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[jobs]`: how many jobs run at once, however many workers there are.

    Attributes
    ----------
    at_once
        Most running jobs of each project; without it as many as workers take.
    projects
        The same for single projects, by name; 0 holds a project's jobs back. Work that the house gives itself counts
        nowhere.
    """

    at_once: Limit | None = None
    projects: dict[str, Limit] = msgspec.field(default_factory=dict)

    def limit_of(self, project: str) -> int | None:
        """Give the most running jobs of a project; None for no limit."""
        return self.projects.get(project, self.at_once)


class JobStatus(enum.StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class NewJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job to submit.

    Attributes
    ----------
    entry
        `package.module:function`, called as `function(workspace, **args)`.
    args
        JSON.
    snapshot
        Digest of the code that `entry` is found in; None for Noria's own code.
    key
        A second job of the same key is the first one.
    max_attempts
        How often it is tried when its worker is lost, or when it raised something that trying again may mend.
    timeout_s
        After so many seconds an attempt is ended, and the job fails.
    permissions
        Names of permissions that it needs beyond those that every job has.
    routine
        Work that the house gives itself every few seconds, as a monitor's look: only its failure is an event, and it is
        forgotten an hour after its end.
    queue
        Only workers that take from this queue run it.
    """

    entry: str
    args: dict[str, Any] = {}
    snapshot: str | None = None
    key: str | None = None
    max_attempts: int = DEFAULT_ATTEMPTS
    timeout_s: float = DEFAULT_TIMEOUT_S
    permissions: list[str] = []
    routine: bool = False
    queue: str = DEFAULT_QUEUE


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a worker does.

    Attributes
    ----------
    attempt
        How often it was begun.
    lease_until
        Until then the worker that claimed it counts as alive.
    not_before
        When it may be claimed next.
    result
        What its function returned.
    cancel_requested
        True from the request on until the worker has ended it.
    """

    id: str
    project: str
    entry: str
    args: dict[str, Any]
    snapshot: str | None
    status: JobStatus
    attempt: int
    max_attempts: int
    timeout_s: float
    lease_until: datetime | None
    claimed_by: str | None
    result: Any | None
    error: ErrorBody | None
    created_at: datetime
    not_before: datetime
    started_at: datetime | None
    ended_at: datetime | None
    key: str | None
    submitted_by: str
    cancel_requested: bool = False
    routine: bool = False
    queue: str = DEFAULT_QUEUE


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, newest first; `next` continues after them, or is None at the end."""

    items: list[Job]
    next: str | None


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks for work.

    Attributes
    ----------
    name
        Of this worker process: host, process id and a random part.
    projects
        Only jobs of these projects; None takes all.
    queues
        Only jobs of these queues; None takes all.
    routine
        Only work that the house gives itself.
    """

    name: str
    projects: list[str] | None = None
    queues: list[str] | None = None
    routine: bool = False


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job handed to a worker.

    Attributes
    ----------
    token
        Secret that the job's own process uses; it opens only what this job may do.
    lease_s
        How long the claim holds without a heartbeat.
    """

    job: Job
    token: str
    lease_s: float


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is given to do; nothing, when there is none."""

    claimed: ClaimedJob | None = None


class Beat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sign of life of a worker for one attempt of a job."""

    worker: str
    attempt: int


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker shall do with the job it runs."""

    cancel: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an attempt ended.

    Attributes
    ----------
    status
        `succeeded`, `failed` or `cancelled`.
    retry
        True when trying again may help: the process died, or the error says so.
    """

    worker: str
    attempt: int
    status: JobStatus
    result: Any | None = None
    error: ErrorBody | None = None
    retry: bool = False


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that a job wrote.

    Attributes
    ----------
    stream
        `out`, `err`, or `noria` for what the worker itself says.
    """

    at: datetime
    stream: str
    text: str


class LogLines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines to keep, at most 1,000 at once."""

    worker: str
    attempt: int
    lines: list[LogLine]


class JobLogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in their order; `next` is where to go on, also for lines that are still to come."""

    items: list[LogLine]
    next: int
