"""What pipelines keep of runs: their steps, what these took and gave, and how they ended."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.errors import ErrorBody
from noria.core.objects.digests import Digest
from noria.pipelines.cache_entities import KeyParts, NewCacheEntry, StoredValue
from noria.tracking.entities import Run, RunSource, RunStatus


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a step takes while it runs; an executor runs at once only what fits.

    Attributes
    ----------
    cpus
        Processor cores, above 0; also parts of one.
    memory_bytes
        Memory, or None when nothing is said of it.
    gpus
        Graphics cards.
    """

    cpus: float = 1.0
    memory_bytes: int | None = None
    gpus: int = 0


class StepStatus(enum.StrEnum):
    """How a step of a run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    REUSED = "reused"


class StepInput(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of a step that is, or holds, what another step of the run made.

    Attributes
    ----------
    argument
        Name of the parameter.
    source_position
        Position of the step that made it.
    output
        Which of its outputs: `output` for a single one, else the index in the tuple or the field of the named tuple.
    """

    argument: str
    source_position: int
    output: str


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run.

    Attributes
    ----------
    position
        Place in the run, from 0.
    occurrence
        How many calls of the same step came before it in the run.
    reason
        Why it ran, or why it did not need to.
    key
        None when it depends on something that has no fingerprint.
    error
        What it raised, with the place in the user's code.
    sources
        Its arguments that other steps made.
    declared
        Name of each output → the type that the step declares for it.
    group
        The nested pipelines that called it, outermost first: `prepare/clean`; empty for the pipeline itself.
    item
        Which item of a map it is, from 0.
    """

    step: str
    name: str
    position: int
    occurrence: int = 0
    status: StepStatus
    reason: str
    key: str | None = None
    attempts: int = 1
    started_at: datetime
    duration_s: float
    outputs: list[StoredValue] = []
    error: ErrorBody | None = None
    sources: list[StepInput] = []
    declared: dict[str, str] = {}
    group: str = ""
    item: int | None = None


class NewStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step that ended.

    Attributes
    ----------
    parts
        What its key was made of, for telling the next run what differs.
    entry
        What it leaves to be reused.
    """

    report: StepReport
    parts: KeyParts | None = None
    entry: NewCacheEntry | None = None


class StepToken(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of a run on other machines show to the server."""

    token: str


class EarlierStep(msgspec.Struct, frozen=True, kw_only=True):
    """What a step's key was made of when it last ran in the same pipeline."""

    step: str
    occurrence: int
    run_id: str
    parts: KeyParts


class NewPipelineRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of a pipeline to start.

    Attributes
    ----------
    run_id
        Made by the caller.
    pipeline
        `module:name`.
    snapshot
        Digest of the project's code.
    environment
        Digest of the list of Python and distributions.
    """

    run_id: str
    name: str
    pipeline: str
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    source: RunSource | None = None
    author: str | None = None
    parent: str | None = None
    snapshot: str | None = None
    environment: str | None = None


class ExportedCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Code that an exported pipeline runs.

    Attributes
    ----------
    target
        `module:name`.
    orchestrator
        Which it was exported for: `airflow`, `kubeflow`.
    snapshot
        Digest of the project's code.
    """

    target: Annotated[str, msgspec.Meta(max_length=500)]
    orchestrator: Annotated[str, msgspec.Meta(max_length=50)]
    snapshot: Digest


class StartedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a pipeline that begins, and what its steps were made of last time."""

    run: Run
    earlier: list[EarlierStep]


class PipelineEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run of a pipeline ended.

    Attributes
    ----------
    outputs
        What the pipeline returned, by name.
    error
        What it raised.
    """

    status: RunStatus
    outputs: dict[str, StoredValue] = {}
    error: ErrorBody | None = None


class PipelineRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a pipeline.

    Attributes
    ----------
    run_id
        Of the tracked run, which has its params, metrics and lineage.
    n_steps, n_reused, n_failed
        Steps so far.
    """

    run_id: str
    pipeline: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    n_steps: int
    n_reused: int
    n_failed: int
    snapshot: str | None = None
    environment: str | None = None
    outputs: dict[str, StoredValue] = {}
    error: ErrorBody | None = None


class PipelineRunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of pipelines, newest first; `next` continues after them, or is None at the end."""

    items: list[PipelineRun]
    next: str | None


class PipelineSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that has run, and its last run."""

    pipeline: str
    n_runs: int
    last: PipelineRun


class PipelineList(msgspec.Struct, frozen=True, kw_only=True):
    """The pipelines of a project that have run, the one that ran last first."""

    items: list[PipelineSummary]


class StepPage(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of a run in their order; `next` continues after them, or is None at the end."""

    items: list[StepReport]
    next: int | None
