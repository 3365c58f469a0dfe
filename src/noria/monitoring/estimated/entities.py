"""An estimate of quality that was made without labels."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from noria.monitoring.tasks.entities import ForecastReport, UnsupervisedReport

ASSUMPTION: Final = (
    "An estimate without labels, not a measurement: it supposes that labels depend on inputs as they did on the "
    "held-out rows. Concept drift, a change of just that, cannot be seen"
)
"""Part of every estimate that is shown."""


class EstimatedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric.

    Attributes
    ----------
    name
        `accuracy`, `f1` (of the second of two classes, or the mean over more), `roc_auc`, or `mae` in units of the
        target.
    value, low, high
        The estimate, and the 95 % interval of what labels of these rows would show.
    reference
        Measured on the held-out rows.
    """

    name: str
    value: float
    low: float
    high: float
    reference: float


class EstimatedQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of some rows whose labels are not known.

    Attributes
    ----------
    method
        `cbpe` (confidence-based performance estimation) for classes, `dle` (direct loss estimation) for numbers.
    calibration
        How the probabilities were made true: `isotonic` or `platt`; None for numbers.
    n_rows
        Answered rows that it is of.
    reference_n
        Held-out rows that it was learnt on.
    metrics
        Those that can be told of these rows.
    assumption
        What it supposes.
    """

    method: Literal["cbpe", "dle"]
    calibration: Literal["isotonic", "platt"] | None = None
    n_rows: int
    reference_n: int
    metrics: list[EstimatedMetric]
    assumption: str = ASSUMPTION


class LabelledMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric as labels measured it, named as in `EstimatedMetric`.

    Attributes
    ----------
    low, high
        Its 95 % interval: Wilson's for accuracy, Student's for a mean absolute error; None for other metrics.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None


class LabelledQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of those answers of an estimate whose trusted labels have come."""

    n_labels: int
    metrics: list[LabelledMetric]


class StandingEstimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be told of an endpoint's newest answers, at most a thousand, beside what windows and labels tell.

    Attributes
    ----------
    position
        Last captured row that was looked at.
    first_position
        The first of the answers; 0 in what was recorded before this was kept.
    label_position
        The last label that had come when the answers were read.
    first_at, last_at
        When the first and the last of the answers were given.
    estimated
        Quality without labels; None where there is none, and `why` says why.
    labelled
        What labels say of the same answers, of those that had come already.
    forecast, unsupervised
        Of a version that was said to forecast, or to have no target. Forecasts are the newest whose value has come.
    """

    model: str
    version: int
    position: int
    first_position: int = 0
    label_position: int = 0
    first_at: datetime
    last_at: datetime
    made_at: datetime
    estimated: EstimatedQuality | None = None
    why: str | None = None
    labelled: LabelledQuality | None = None
    forecast: ForecastReport | None = None
    unsupervised: UnsupervisedReport | None = None


class FoundEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """The newest estimate of an endpoint; None while none was made.

    Attributes
    ----------
    label_position
        Labels up to this one are in what is told of past estimates.
    """

    standing: StandingEstimate | None = None
    label_position: int = 0


class EstimatePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A past estimate, and what labels said of the same answers.

    Attributes
    ----------
    first_position, position
        The captured rows from which it was made.
    n_rows
        Answers that it is of.
    metrics
        Those that could be told.
    labelled
        None while fewer than 20 labels came.
    """

    version: int
    first_position: int
    position: int
    first_at: datetime
    last_at: datetime
    n_rows: int
    metrics: list[EstimatedMetric]
    labelled: LabelledQuality | None = None


class EstimateHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Past estimates, newest first."""

    items: list[EstimatePoint]


class LabelledPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What labels say of the answers of the past estimate at a position."""

    position: int
    labelled: LabelledQuality | None


class LabelledEstimates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What newly come labels say of past estimates. It is taken in only if their labels still stand where it began."""

    from_label_position: int
    label_position: int
    points: list[LabelledPoint]
