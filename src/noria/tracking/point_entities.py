"""Points of metrics, one by one and as columns, and histories of them."""

from __future__ import annotations

import enum
import math

import msgspec
from msgspec.structs import force_setattr

from noria.core.serialisation import Instant
from noria.tracking.floats import Float, NotFinite, all_finite, mark_of, restored


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a metric.

    Attributes
    ----------
    value
        May be NaN or infinite.
    not_finite
        On the wire only: which float a null `value` stands for.
    step
        Position in the run's own counting: batch, epoch.
    """

    key: str
    value: Float
    not_finite: NotFinite | msgspec.UnsetType = msgspec.UNSET
    step: int = 0
    at: Instant

    def __post_init__(self) -> None:
        """Mark a float that is not finite, or restore it."""
        mark = None if self.not_finite is msgspec.UNSET else self.not_finite
        value = restored(self.value, mark)
        if not math.isfinite(value):
            force_setattr(self, "value", value)
            force_setattr(self, "not_finite", mark_of(value))


class ModelPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value of a metric that a run found for a logged model.

    Attributes
    ----------
    model
        Id of a logged model of the run's project.
    value
        May be NaN or infinite.
    not_finite
        On the wire only: which float a null `value` stands for.
    dataset_name, dataset_digest
        The data that it was found on; empty when none is named.
    """

    model: str
    key: str
    value: Float
    not_finite: NotFinite | msgspec.UnsetType = msgspec.UNSET
    step: int = 0
    at: Instant
    dataset_name: str = ""
    dataset_digest: str = ""

    def __post_init__(self) -> None:
        """Mark a float that is not finite, or restore it."""
        mark = None if self.not_finite is msgspec.UNSET else self.not_finite
        value = restored(self.value, mark)
        if not math.isfinite(value):
            force_setattr(self, "value", value)
            force_setattr(self, "not_finite", mark_of(value))


class PointColumns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points of one metric as columns of equal length, which are written and read faster than one by one.

    Attributes
    ----------
    steps
        Positions in the run's own counting.
    at
        Moments in microseconds since 1970, UTC.
    values
        May be NaN or infinite.
    not_finite
        On the wire only: position → which float a null of `values` stands for.
    """

    steps: list[int]
    at: list[int]
    values: list[Float]
    not_finite: dict[int, NotFinite] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Mark floats that are not finite, or restore them."""
        if not len(self.steps) == len(self.at) == len(self.values):
            raise ValueError("The columns `steps`, `at` and `values` differ in length")
        if not self.values:
            return
        marks = {} if self.not_finite is msgspec.UNSET else self.not_finite
        if not marks and all_finite(self.values):
            return
        values = [restored(value, marks.get(i)) for i, value in enumerate(self.values)]
        found = {i: mark_of(value) for i, value in enumerate(values) if not math.isfinite(value)}
        force_setattr(self, "values", values)
        force_setattr(self, "not_finite", found or msgspec.UNSET)


class HistoryOrder(enum.StrEnum):
    """In which order points come: by step, then time, or by time, then step; by value in the end."""

    STEP = "step"
    TIME = "time"


class RunPoints(msgspec.Struct, frozen=True, kw_only=True):
    """All points of one metric of a run, in order."""

    points: PointColumns


class RunHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one metric of one run, in the order of step, then time.

    Attributes
    ----------
    n_points
        How many there are; `points` holds fewer when they were sampled.
    """

    run_id: str
    key: str
    n_points: int
    points: PointColumns


class Histories(msgspec.Struct, frozen=True, kw_only=True):
    """Histories by run, then key, in the order asked for; a run without the metric is left out."""

    items: list[RunHistory]


class MetricPage(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one metric in the order of step, then time; `next` continues, or is None at the end."""

    items: list[MetricPoint]
    next: str | None


class MetricList(msgspec.Struct, frozen=True, kw_only=True):
    """The latest point of each metric of a run, in the order of keys."""

    items: list[MetricPoint]
