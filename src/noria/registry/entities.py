"""Models, versions, signatures and their parts."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec


class Task(enum.StrEnum):
    """What a model answers with: one of some classes, or a number."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Stage(enum.StrEnum):
    """Where a version stands in a life of four stages; aliases say the same more freely."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @property
    def is_active(self) -> bool:
        """Whether versions that stand here are in use, so that a newer one may send them to the archive."""
        return self in (Stage.STAGING, Stage.PRODUCTION)


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named input or output.

    Attributes
    ----------
    datatype
        As the Open Inference Protocol names it: `FP64`, `FP32`, `INT64`, `INT32`, `BOOL`, `BYTES` (text).
    shape
        The first axis is -1: the rows. An input of one axis is a column.
    nullable
        Whether missing values (NaN, null) are accepted: only if training data had some.
    """

    name: str
    datatype: str
    shape: list[int]
    nullable: bool = False


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes and gives."""

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version was made from, so that it can be made again on newer data.

    Attributes
    ----------
    pipeline
        `module:name`; None for a model registered outside a pipeline.
    params
        The pipeline's parameters as JSON values.
    dataset
        Reference of the data set that it was trained on, `name@version`.
    snapshot
        Digest of the project's code.
    environment
        Digest of the list of distributions that were installed where it was registered, as requirements.
    """

    run_id: str | None = None
    pipeline: str | None = None
    params: dict[str, Any] = {}
    dataset: str | None = None
    snapshot: str | None = None
    environment: str | None = None


class Holdout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the model did on rows kept apart: what live quality is compared with.

    Attributes
    ----------
    metric
        `accuracy` (share right) or `mae` (mean absolute error, in units of the target).
    value, n
        The metric and the rows it was measured on.
    score
        Mean score between 0 and 1: the accuracy, or the mean of 1 - min(1, |error| / error_bound).
    error_bound
        Regression: absolute error that scores 0, twice the 99 % quantile of the held-out errors.
    """

    metric: str
    value: float
    n: int
    score: float
    error_bound: float | None = None


class NewModelVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version to register. Its files were uploaded to the project before.

    Attributes
    ----------
    digest
        Digest of the manifest of the version's files.
    format
        Which runtime loads it: `sklearn-skops`.
    """

    digest: str
    format: str
    task: Task
    signature: Signature
    classes: list[int | float | str | bool] | None = None
    holdout: Holdout | None = None
    metrics: dict[str, float] = {}
    origin: Origin = Origin()
    message: str = ""
    author: str | None = None


class ArtifactPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Artifacts of this workspace that a version is made of.

    Attributes
    ----------
    of
        `run:<id>` or `logged-model:<id>`.
    folder
        Below which they lie; empty for all.
    """

    project: str
    of: str
    folder: str = ""


class SourceVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version to register from where its files lie, as clients of MLflow do.

    Attributes
    ----------
    source
        The place as the client named it, any URI.
    location
        The place as it can be read from; `source` when left out.
    artifacts
        The place in this workspace. What lies there now becomes the version's files, whatever happens there later.
    copy_of
        Id of the version that `source` names, whose files and location the new one has too.
    run_id, model_id
        The run or logged model that made it.
    run_link
        Address of that run elsewhere.
    number
        Of the original, for an import: above every number that the model has given. The next one when left out.
    created_at
        Now, when left out; an import tells the time of the original.
    """

    source: str
    location: str | None = None
    artifacts: ArtifactPlace | None = None
    copy_of: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    run_link: str | None = None
    description: str | None = None
    tags: dict[str, str] = {}
    number: int | None = None
    created_at: datetime | None = None


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that the pickles of a digest may be loaded, which runs the code in them."""

    digest: str
    ref: str
    given_by: str
    given_at: datetime


class ConsentList(msgspec.Struct, frozen=True, kw_only=True):
    """Consents, newest first."""

    items: list[Consent]


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model.

    What it is made of never changes; its aliases, stage, tags and description do.

    Attributes
    ----------
    digest
        Digest of the manifest of the version's files; None when they are not in this workspace.
    format
        Which runtime loads it; None when the files are not known.
    task, signature
        None when whoever registered it did not say.
    source
        Where it was registered from; None for a version that was registered by its files.
    model_id
        Logged model that it was made of.
    flavor
        Of the format `mlflow`: the library that the model is of.
    pickled
        Whether loading it runs code that its files hold, for which somebody must consent.
    consent
        The consent that was given, if it was.
    """

    id: str
    project: str
    model: str
    version: int
    digest: str | None
    format: str | None
    task: Task | None
    signature: Signature | None
    classes: list[int | float | str | bool] | None
    holdout: Holdout | None
    metrics: dict[str, float]
    origin: Origin
    message: str
    author: str
    created_at: datetime
    updated_at: datetime
    aliases: list[str] = []
    description: str | None = None
    tags: dict[str, str] = {}
    stage: Stage = Stage.NONE
    source: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    flavor: str | None = None
    pickled: bool = False
    consent: Consent | None = None

    @property
    def ref(self) -> str:
        """`model@version`."""
        return f"{self.model}@{self.version}"


class ServableVersion(ModelVersion, frozen=True, kw_only=True):
    """A version of which all is known that loading and serving it needs; made by `servable`."""

    digest: str
    format: str
    task: Task
    signature: Signature


class NewModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model to make, without versions yet.

    Attributes
    ----------
    created_at
        Now, when left out; an import tells the time of the original.
    """

    name: str
    description: str | None = None
    tags: dict[str, str] = {}
    created_at: datetime | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A named line of versions.

    Attributes
    ----------
    latest
        Number of the newest version that is there; 0 when there is none.
    aliases
        Version by alias.
    updated_at
        When its name, description, versions or their stages last changed.
    """

    id: str
    project: str
    name: str
    latest: int
    aliases: dict[str, int]
    author: str | None
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    tags: dict[str, str] = {}


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Models in the order of their names; `next` continues."""

    items: list[Model]
    next: str | None


class DeletedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was deleted and can come back.

    Attributes
    ----------
    name
        That it had; another model may have it now.
    n_versions
        How many versions were deleted with it.
    """

    id: str
    project: str
    name: str
    n_versions: int
    deleted_at: datetime


class DeletedModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deleted models, the newest model first; `next` continues."""

    items: list[DeletedModel]
    next: str | None


class DeletedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was deleted by itself and can come back.

    Attributes
    ----------
    digest
        Of its files; None if they were not kept here.
    """

    version: int
    digest: str | None
    message: str
    created_at: datetime
    deleted_at: datetime


class DeletedVersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deleted versions of a model, newest first; `next` continues before it."""

    items: list[DeletedVersion]
    next: int | None


class ModelVersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first; `next` continues."""

    items: list[ModelVersion]
    next: int | None


class AliasTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an alias points."""

    version: int


class NewName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model shall be called."""

    name: str


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people shall read about a model or version; None takes it away."""

    text: str | None


class TagChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags to set, by key; None deletes one."""

    tags: dict[str, str | None]


class StageMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a version shall stand.

    Attributes
    ----------
    stage
        In any case.
    archive_existing
        Send the versions that stand there now to the archive.
    """

    stage: str
    archive_existing: bool = False


class DownloadPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of a version can be had from.

    Attributes
    ----------
    location
        Where they lay when it was registered; None for a version that was registered by its files.
    digest
        Of the files as they were then; None when they were not in this workspace.
    unchanged
        Whether exactly these files lie at `location` still.
    """

    version_id: str
    location: str | None
    digest: str | None
    unchanged: bool
