"""What the reader tells, line by line, and what an import did."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.tracking.reviewing.queue_entities import ReviewStatus
from noria.tracking.traces.entities import Span


class Line(msgspec.Struct, tag_field="kind", kw_only=True):
    """A line of the reader; the base of its kinds."""


class Begin(Line, tag="begin"):
    """The reader has opened the store with this version of MLflow."""

    version: str


class ExperimentLine(Line, tag="experiment"):
    """An experiment; its logged models and runs follow."""

    id: str
    name: str
    tags: dict[str, str]
    created_ms: int | None
    deleted: bool


class UnknownExperiment(Line, tag="unknown-experiment"):
    """The store has no experiment of a name that was asked for."""

    name: str
    known: list[str]


class DatasetLine(msgspec.Struct, kw_only=True):
    """Data that a run read."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


class ModelMade(msgspec.Struct, kw_only=True):
    """A logged model that a run made."""

    id: str
    step: int


class RunLine(Line, tag="run"):
    """A run; taken, its points and files follow, then its end."""

    id: str
    experiment: str
    name: str | None
    user: str | None
    status: str
    started_ms: int | None
    ended_ms: int | None
    deleted: bool
    params: dict[str, str]
    tags: dict[str, str]
    datasets: list[DatasetLine]
    models_read: list[str]
    models_made: list[ModelMade]


class PointsLine(Line, tag="points"):
    """Points of a metric of the run before; `values` has text for what is not finite."""

    key: str
    steps: list[int]
    at_ms: list[int]
    values: list[float | str]


class FileLine(Line, tag="file"):
    """A file of the run or logged model before, at a place on this machine for as long as it is not answered."""

    path: str
    place: str


class RunEndLine(Line, tag="run-end"):
    """The run is through; `complete` unless some of its files could not be read, or were not asked for."""

    id: str
    complete: bool


class ModelMetricLine(msgspec.Struct, kw_only=True):
    """A value that a run found for a logged model."""

    run: str
    key: str
    value: float | str
    step: int
    at_ms: int
    dataset_name: str
    dataset_digest: str


class LoggedModelLine(Line, tag="logged-model"):
    """A logged model; taken, its files follow, then its end."""

    id: str
    name: str
    experiment: str
    model_type: str
    source_run: str
    status: str
    created_ms: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[ModelMetricLine]


class LoggedModelEndLine(Line, tag="logged-model-end"):
    """The logged model is through; `complete` as of a run."""

    id: str
    complete: bool


class TraceLine(Line, tag="trace"):
    """A trace; taken, its spans follow, then its end. The assessments are in MLflow's words."""

    id: str
    experiment: str
    client_request_id: str | None
    started_ms: int
    duration_ms: int | None
    state: str
    request: str | None
    response: str | None
    metadata: dict[str, str]
    tags: dict[str, str]
    assessments: list[dict[str, Any]]


class SpansLine(Line, tag="spans"):
    """Spans of the trace before."""

    spans: list[Span]


class TraceEndLine(Line, tag="trace-end"):
    """The trace is through; `complete` unless its spans could not be read."""

    id: str
    complete: bool


class TraceLinksLine(Line, tag="trace-links"):
    """Traces that have to do with a run."""

    run: str
    traces: list[str]


class ScorerLine(Line, tag="scorer"):
    """A version of a scorer, as text; versions come in their order."""

    experiment: str
    name: str
    version: int
    content: str
    created_ms: int | None


class IssueLine(Line, tag="issue"):
    """An issue."""

    id: str
    experiment: str
    name: str
    description: str
    status: str
    severity: str | None
    root_causes: list[str]
    categories: list[str]
    source_run: str | None
    created_by: str | None
    created_ms: int | None
    seen_ms: int | None = None
    metadata: dict[str, str] = {}


class LabelSchemaLine(Line, tag="label-schema"):
    """A question that reviewers of traces are asked; those of an experiment come before its queues."""

    id: str
    experiment: str
    name: str
    type: str
    input: dict[str, Any]
    instruction: str | None
    enable_comment: bool
    is_default: bool


class ReviewItemLine(msgspec.Struct, kw_only=True):
    """A trace in a review queue."""

    id: str
    status: ReviewStatus
    by: str | None


class ReviewQueueLine(Line, tag="review-queue"):
    """A review queue with its traces, the first to come first."""

    experiment: str
    name: str
    type: str
    created_by: str | None
    users: list[str]
    schemas: list[str]
    items: list[ReviewItemLine]


class EvaluationDatasetLine(Line, tag="evaluation-dataset"):
    """An evaluation data set; taken, its records follow, then its end."""

    id: str
    name: str
    tags: dict[str, str]
    experiments: list[str]
    created_ms: int | None


class RecordsLine(Line, tag="records"):
    """Records of the evaluation data set before, in MLflow's words."""

    records: list[dict[str, Any]]


class EvaluationDatasetEndLine(Line, tag="evaluation-dataset-end"):
    """The evaluation data set is through."""

    id: str


class ExperimentsEnd(Line, tag="experiments-end"):
    """There are no more experiments."""


class ModelLine(Line, tag="model"):
    """A registered model; its versions follow, then its aliases."""

    name: str
    description: str | None
    tags: dict[str, str]
    created_ms: int | None


class VersionLine(Line, tag="version"):
    """A version of a registered model."""

    name: str
    number: int
    source: str
    run_id: str | None
    run_link: str | None
    model_id: str | None
    description: str | None
    tags: dict[str, str]
    stage: str
    created_ms: int | None


class AliasesLine(Line, tag="aliases"):
    """The aliases of a registered model."""

    name: str
    aliases: dict[str, int]


class SkippedLine(Line, tag="skipped"):
    """Something that could not be read."""

    what: str
    name: str
    why: str


class End(Line, tag="end"):
    """The reader is through."""


AnyLine = (
    Begin
    | ExperimentLine
    | UnknownExperiment
    | RunLine
    | PointsLine
    | FileLine
    | RunEndLine
    | LoggedModelLine
    | LoggedModelEndLine
    | TraceLine
    | SpansLine
    | TraceEndLine
    | TraceLinksLine
    | ScorerLine
    | IssueLine
    | LabelSchemaLine
    | ReviewQueueLine
    | EvaluationDatasetLine
    | RecordsLine
    | EvaluationDatasetEndLine
    | ExperimentsEnd
    | ModelLine
    | VersionLine
    | AliasesLine
    | SkippedLine
    | End
)


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not brought over."""

    what: str
    name: str
    why: str


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    Attributes
    ----------
    source
        Where it came from, without credentials.
    n_present
        Runs, logged models, versions, traces and what judges them, as far as an earlier import had brought them.
    """

    source: str
    mlflow_version: str
    project: str
    n_experiments: int
    n_runs: int
    n_points: int
    n_files: int
    n_logged_models: int
    n_models: int
    n_versions: int
    n_traces: int
    n_scorers: int
    n_issues: int
    n_label_schemas: int
    n_review_queues: int
    n_evaluation_datasets: int
    n_present: int
    skipped: list[Skipped]
