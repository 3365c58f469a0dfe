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


class StandingEstimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be told of an endpoint's newest answers, at most a thousand, beside what windows and labels tell.

    Attributes
    ----------
    position
        Last captured row that was looked at.
    first_at, last_at
        When the first and the last of the answers were given.
    estimated
        Quality without labels; None where there is none, and `why` says why.
    forecast, unsupervised
        Of a version that was said to forecast, or to have no target. Forecasts are the newest whose value has come.
    """

    model: str
    version: int
    position: int
    first_at: datetime
    last_at: datetime
    made_at: datetime
    estimated: EstimatedQuality | None = None
    why: str | None = None
    forecast: ForecastReport | None = None
    unsupervised: UnsupervisedReport | None = None


class FoundEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """The newest estimate of an endpoint; None while none was made."""

    standing: StandingEstimate | None = None
