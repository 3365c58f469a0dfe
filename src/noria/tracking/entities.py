"""Runs and what they hold, with the rules on them."""

from __future__ import annotations

import enum
import math
from datetime import datetime

import msgspec
from msgspec.structs import force_setattr

from noria.core.objects.digests import Digest
from noria.core.serialisation import Instant
from noria.tracking.experiment_entities import DEFAULT_EXPERIMENT
from noria.tracking.floats import Float, NotFinite, mark_of, restored
from noria.tracking.point_entities import MetricPoint, ModelPoint, PointColumns


class RunStatus(enum.StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    SCHEDULED = "scheduled"

    @property
    def ended(self) -> bool:
        """Whether the run has an end."""
        return self is not RunStatus.RUNNING and self is not RunStatus.SCHEDULED


ALLOWED_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.RUNNING: frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}),
    RunStatus.FINISHED: frozenset({RunStatus.RUNNING}),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),
    RunStatus.KILLED: frozenset({RunStatus.RUNNING}),
    RunStatus.SCHEDULED: frozenset(
        {RunStatus.RUNNING, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}
    ),
}
"""Status → what it may become. A run ends once; one that has ended can be resumed, and then ends anew."""


class Lifecycle(enum.StrEnum):
    """Which of experiments or runs are meant."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class Tags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags to set; null removes one."""

    tags: dict[str, str | None]


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a run read or made.

    Attributes
    ----------
    ref
        `kind:rest`: `dataset:digits@2`, `model:digits@3`, `object:<digest>`.
    digest
        Digest of its bytes; empty when there is none.
    """

    ref: str
    digest: str = ""


class Dataset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data that a run read, as its script described it: one of an experiment by name and digest.

    Attributes
    ----------
    digest
        As the script made it, at most 36 characters; not an object's digest.
    source_type, source
        Where it came from: `local`, and a JSON text that only such a source understands.
    schema, profile
        JSON texts on its columns and rows.
    tags
        Of this use by this run: `mlflow.data.context` tells what for.
    """

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = {}


class DatasetUse(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of an experiment, and what for a run read it; None when no run said."""

    name: str
    digest: str
    source_type: str
    context: str | None


class DatasetUses(msgspec.Struct, frozen=True, kw_only=True):
    """Data sets by purpose, in the order of first use."""

    items: list[DatasetUse]


class RunSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was run, and where.

    Attributes
    ----------
    git_commit, git_dirty
        Commit of the working folder, and whether tracked files differ from it; None outside a repository.
    command
        Command line; values that look like secrets are replaced.
    python
        Version of Python.
    host
        Name of the machine.
    """

    git_commit: str | None = None
    git_dirty: bool | None = None
    command: str | None = None
    python: str | None = None
    host: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution whose params, metrics and products are kept.

    Attributes
    ----------
    metrics
        Latest value by key: that of the greatest step, then time. May be NaN or infinite.
    not_finite
        On the wire only: which of the metrics are NaN or infinite, as JSON writes those as null.
    parent
        The run inside which this one was started.
    author
        Who started it.
    deleted_at
        None for an active run. A deleted one can be read and restored until the grace period is over.
    """

    id: str
    project: str
    experiment: str
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    params: dict[str, str] = {}
    metrics: dict[str, Float] = {}
    not_finite: dict[str, NotFinite] | msgspec.UnsetType = msgspec.UNSET
    tags: dict[str, str] = {}
    inputs: list[Link] = []
    outputs: list[Link] = []
    datasets: list[Dataset] = []
    source: RunSource | None = None
    parent: str | None = None
    author: str = ""
    deleted_at: datetime | None = None

    def __post_init__(self) -> None:
        """Mark floats that are not finite, or restore them."""
        marks = {} if self.not_finite is msgspec.UNSET else self.not_finite
        values = {key: restored(value, marks.get(key)) for key, value in self.metrics.items()}
        found = {key: mark_of(value) for key, value in values.items() if not math.isfinite(value)}
        force_setattr(self, "metrics", values)
        force_setattr(self, "not_finite", found or msgspec.UNSET)


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first; `next` continues after them, or is None at the end."""

    items: list[Run]
    next: str | None


class NewRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to start.

    Attributes
    ----------
    experiment
        Made if there is none of this name.
    id
        Made by the caller, so that a repeated request makes one run; otherwise the service makes one.
    started_at
        Now, when left out.
    """

    experiment: str = DEFAULT_EXPERIMENT
    name: str | None = None
    id: str | None = None
    parent: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    source: RunSource | None = None
    started_at: Instant | None = None
    author: str | None = None


class RunEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How and when a run ended (now, when left out).

    Attributes
    ----------
    last
        What is kept before the end, in the same transaction.
    """

    status: RunStatus = RunStatus.FINISHED
    ended_at: Instant | None = None
    last: LogBatch | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole run, kept at once after it ended.

    Attributes
    ----------
    new
        With an id, so that a repeated request makes one run.
    """

    new: NewRun
    end: RunEnd


class RunChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run shall be; what is left out stays as it is.

    Unlike `RunEnd` this can give any status, as programs do that keep runs for others.

    Attributes
    ----------
    end_unknown
        Nobody knows when the run ended: with an ended status and no `ended_at` it keeps the end that it has, or none,
        instead of ending now.
    source
        What is known by now of the code that runs: looking at a working folder takes longer than starting a run.
    """

    status: RunStatus | None = None
    ended_at: Instant | None = None
    end_unknown: bool = False
    name: str | None = None
    source: RunSource | None = None


class RunPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run belongs."""

    run_id: str
    project: str
    experiment: str
    experiment_number: int
    artifact_location: str | None = None
    deleted_at: datetime | None = None


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """A run without what was logged."""

    place: RunPlace
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    author: str


class RunCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs of an experiment have a status."""

    experiment: str
    status: RunStatus
    deleted: bool
    n_runs: int


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of a project by experiment, status and deletion; groups without runs are left out."""

    items: list[RunCount]


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a run keeps."""

    path: str
    digest: str
    size_bytes: int
    at: datetime


class ArtifactPage(msgspec.Struct, frozen=True, kw_only=True):
    """Artifacts in the order of paths; `next` continues after them, or is None at the end."""

    items: list[Artifact]
    next: str | None


class LogBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run logs at once; all of it is kept, or nothing. Sending it twice changes nothing.

    Attributes
    ----------
    points
        Metric → points as columns; the same as `metrics`, for many at once.
    params
        Written once; the same value again is fine.
    tags
        Set anew each time; null removes one.
    artifacts
        Path → digest of an object that this project holds.
    datasets
        One that the run has read already gets the tags anew.
    model_points
        What was found for logged models. These are no points of the run itself: who wants them in its history too
        sends them in `metrics` as well.
    """

    metrics: list[MetricPoint] = []
    points: dict[str, PointColumns] = {}
    params: dict[str, str] = {}
    tags: dict[str, str | None] = {}
    inputs: list[Link] = []
    outputs: list[Link] = []
    artifacts: dict[str, Digest] = {}
    datasets: list[Dataset] = []
    model_points: list[ModelPoint] = []


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs side by side, differences only.

    Attributes
    ----------
    runs
        As asked; each holds only the params and metrics that differ.
    params, metrics
        The keys that differ: not all runs have the same value (or any).
    """

    runs: list[Run]
    params: list[str]
    metrics: list[str]
