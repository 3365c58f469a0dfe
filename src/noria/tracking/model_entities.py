"""Logged models: what a run made and keeps as a model, before and whether or not anybody registers it."""

from __future__ import annotations

import enum
import math
from datetime import datetime

import msgspec
from msgspec.structs import force_setattr

from noria.core.serialisation import Instant
from noria.tracking.floats import Float, NotFinite, mark_of, restored


class ModelStatus(enum.StrEnum):
    """Where a logged model stands."""

    UNSPECIFIED = "unspecified"
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a metric that a run found for a model.

    Attributes
    ----------
    value
        May be NaN or infinite.
    not_finite
        On the wire only: which float a null `value` stands for.
    run
        Id of the run that logged it.
    dataset_name, dataset_digest
        The data that it was found on; empty when none was named.
    """

    key: str
    value: Float
    not_finite: NotFinite | msgspec.UnsetType = msgspec.UNSET
    step: int
    at: datetime
    run: str
    dataset_name: str = ""
    dataset_digest: str = ""

    def __post_init__(self) -> None:
        """Mark a float that is not finite, or restore it."""
        mark = None if self.not_finite is msgspec.UNSET else self.not_finite
        value = restored(self.value, mark)
        if not math.isfinite(value):
            force_setattr(self, "value", value)
            force_setattr(self, "not_finite", mark_of(value))


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of an experiment, with its files on a shelf of its own (`logged-model:<id>`).

    Attributes
    ----------
    experiment, experiment_number
        What it belongs to.
    status
        `pending` until whoever makes it says that its files are complete, or that it failed.
    model_type
        What the maker calls this kind of model; empty when nothing was said.
    source_run
        Id of the run that made it, as the maker gave it; empty when it gave none.
    artifact_location
        Where other clients were told to put the experiment's artifacts; None for the store of this workspace.
    deleted_at
        None for an active model. A deleted one can be restored until the grace period is over.
    """

    id: str
    project: str
    experiment: str
    experiment_number: int
    name: str
    status: ModelStatus
    status_message: str = ""
    model_type: str = ""
    source_run: str = ""
    artifact_location: str | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []


class LoggedModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Logged models in the order asked for; `next` continues, or is None at the end."""

    items: list[LoggedModel]
    next: str | None


class NewLoggedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model to make.

    Attributes
    ----------
    experiment
        Name of an active experiment.
    name
        For people; made up when left out. Models of an experiment may share one.
    id, created_at
        Of the original, for an import: `m-` and 32 hexadecimal digits. A second request with the same id is refused.
    """

    experiment: str
    name: str | None = None
    model_type: str = ""
    source_run: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    id: str | None = None
    created_at: Instant | None = None


class ModelEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of the making of a model."""

    status: ModelStatus = ModelStatus.READY
    message: str = ""


class ModelParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Params of a model to add; each is written once."""

    params: dict[str, str]


class ModelTags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags of a model to set; null removes one."""

    tags: dict[str, str | None]


class ModelUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logged model that a run read or made, and at which step of its own counting."""

    model: str
    step: int = 0


class RunModels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logged models that a run read (`inputs`) and made (`outputs`)."""

    inputs: list[ModelUse] = []
    outputs: list[ModelUse] = []


class ModelPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a logged model belongs."""

    model_id: str
    project: str
    experiment: str
    experiment_number: int
    artifact_location: str | None = None
    deleted_at: datetime | None = None


class DatasetChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data that metrics were found on; without a digest, any data of the name."""

    name: str
    digest: str = ""


class ModelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What logged models are ordered by.

    Attributes
    ----------
    field
        An attribute, such as `name` or `creation_timestamp`, or `metrics.<key>`. Models without it come last.
    dataset_name, dataset_digest
        Of a metric: only what was found on this data.
    """

    field: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class ModelSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which logged models are wanted.

    Attributes
    ----------
    numbers
        Of the experiments to look in; those that the caller may not read count as empty.
    filter
        Comparisons joined by `AND`: `metrics.accuracy > 0.9 AND params.depth = '3' AND name LIKE 'forest%'`.
    datasets
        Only models with a metric on any of this data (and, if the filter compares metrics, those metrics on it).
    order_by
        Then newest first, then by id.
    after
        `next` of the page before.
    """

    numbers: list[int]
    filter: str = ""
    datasets: list[DatasetChoice] = []
    order_by: list[ModelOrder] = []
    limit: int = 100
    after: str | None = None
