"""Messages of MLflow's protocol that several endpoints share."""

from __future__ import annotations

import msgspec

from noria.interop.mlflow.wire import Int64, Message, WireEnum


class RunStatus(WireEnum):
    """Where a run stands."""

    RUNNING = "RUNNING", 1
    SCHEDULED = "SCHEDULED", 2
    FINISHED = "FINISHED", 3
    FAILED = "FAILED", 4
    KILLED = "KILLED", 5


class ViewType(WireEnum):
    """Which of experiments or runs are meant."""

    ACTIVE_ONLY = "ACTIVE_ONLY", 1
    DELETED_ONLY = "DELETED_ONLY", 2
    ALL = "ALL", 3


class Empty(Message):
    """A message without fields."""


class Leaf(msgspec.Struct, omit_defaults=True, gc=False):
    """A small message of which an answer holds many: it holds no other, so the garbage collector can pass it by."""


class KeyValue(Leaf, omit_defaults=False):
    """A param or tag; an empty value is there too."""

    key: str = ""
    value: str = ""


class Metric(Leaf):
    """A point of a metric.

    `value` is text where it is no finite number; in a request, None where it is missing.
    """

    key: str = ""
    value: float | str | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class Experiment(Message):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = []
    workspace: str | None = None


class RunInfo(Message, kw_only=True):
    """What is known of a run besides what was logged."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    artifact_uri: str
    lifecycle_stage: str
    run_id: str


class RunData(Message):
    """What was logged: the latest point of each metric, params and tags."""

    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class Dataset(Message):
    """Data that a run read, as its script described it."""

    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Message):
    """The use of a data set by a run."""

    tags: list[KeyValue] = []
    dataset: Dataset | None = None


class ModelInput(Message):
    """A logged model that a run read."""

    model_id: str = ""


class ModelOutput(Message):
    """A logged model that a run made, at a step."""

    model_id: str = ""
    step: Int64 | None = None


class RunInputs(Message):
    """What a run read."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(Message):
    """What a run made."""

    model_outputs: list[ModelOutput] = []


class Run(Message):
    """A run with all that it holds."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs | None = None


class RunAnswer(Message):
    """One run."""

    run: Run
