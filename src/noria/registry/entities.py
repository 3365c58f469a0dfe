"""Models, versions, signatures and their parts."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.core.names import check_name, split_ref


class Task(enum.StrEnum):
    """What a model answers with: one of some classes, or a number."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


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
    """

    run_id: str | None = None
    pipeline: str | None = None
    params: dict[str, Any] = {}
    dataset: str | None = None
    snapshot: str | None = None


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


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model. Only its aliases change."""

    id: str
    project: str
    model: str
    version: int
    digest: str
    format: str
    task: Task
    signature: Signature
    classes: list[int | float | str | bool] | None
    holdout: Holdout | None
    metrics: dict[str, float]
    origin: Origin
    message: str
    author: str
    created_at: datetime
    aliases: list[str] = []

    @property
    def ref(self) -> str:
        """`model@version`."""
        return f"{self.model}@{self.version}"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A named line of versions.

    Attributes
    ----------
    latest
        Number of the newest version.
    aliases
        Version by alias.
    """

    id: str
    project: str
    name: str
    latest: int
    aliases: dict[str, int]
    created_at: datetime


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Models in the order of their names; `next` continues."""

    items: list[Model]
    next: str | None


class ModelVersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first; `next` continues."""

    items: list[ModelVersion]
    next: int | None


class AliasTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an alias points."""

    version: int


def parse_model_ref(ref: str) -> tuple[str, int | str | None]:
    """Split `digits`, `digits@3` or `digits@champion` into the name and a version, an alias, or None (the newest).

    Raises
    ------
    Invalid
        If the version is not a positive number.

    Examples
    --------
    >>> parse_model_ref("digits@champion")
    ('digits', 'champion')
    """
    name, selector = split_ref(ref)
    if selector is None or selector == "latest":
        return name, None
    if not selector.isdecimal():
        return name, selector
    if int(selector) < 1:
        raise Invalid(
            f"`{selector}` in `{ref}` is not a version", hint=f"Write `{name}@1` or `{name}@latest`"
        )
    return name, int(selector)


def check_alias(alias: str) -> str:
    """Give `alias` back if `model@alias` cannot be taken for a version.

    Raises
    ------
    Invalid
        If it is a number, `latest`, or no name.

    Examples
    --------
    >>> check_alias("champion")
    'champion'
    """
    check_name("alias", alias)
    if alias == "latest" or alias.isdecimal():
        raise Invalid(
            f"`{alias}` cannot be an alias: `model@{alias}` is a version",
            hint="Use a word, such as `champion`",
        )
    return alias


def check_metrics(metrics: dict[str, float]) -> None:
    """Refuse metrics that are NaN or infinite: a version is compared by them."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Invalid(
                f"The metric `{name}` of the version is {value}", hint="Register finite numbers only"
            )


def signature_difference(old: Signature, new: Signature) -> str | None:
    """Say in words how the inputs and outputs of two signatures differ; None when they do not."""
    for kind, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        known, given = {spec.name: spec for spec in before}, {spec.name: spec for spec in after}
        for name, spec in known.items():
            if name not in given:
                return f"the {kind} `{name}` is gone"
            other = given[name]
            if (spec.datatype, spec.shape) != (other.datatype, other.shape):
                return f"the {kind} `{name}` was {spec.datatype} {spec.shape} and is {other.datatype} {other.shape}"
        extra = [name for name in given if name not in known]
        if extra:
            return f"the {kind} `{extra[0]}` is new"
    return None
