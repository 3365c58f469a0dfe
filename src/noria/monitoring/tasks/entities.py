"""What a model is for, and what is told of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec

TASK_TAG: Final = "noria.task"
"""The version's tag that says what it is for."""

Level = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Forecasting(msgspec.Struct, frozen=True, kw_only=True, tag="forecasting", forbid_unknown_fields=True):
    """A model that forecasts a series.

    Attributes
    ----------
    time
        Input that says for when: a number (of any unit) or a text in ISO 8601.
    horizon
        Input that says how many steps ahead; 1 for all rows when left out.
    series
        Input that says of which series; one series when left out.
    season
        Steps in a season.
    quantiles
        Levels of the output `quantiles`, in its order.
    """

    time: str
    horizon: str | None = None
    series: str | None = None
    season: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    quantiles: list[Level] = []


class Unsupervised(msgspec.Struct, frozen=True, kw_only=True, tag="unsupervised", forbid_unknown_fields=True):
    """A model without a target: it answers with a cluster, or with how strange a row is."""


ModelTask = Forecasting | Unsupervised


class ForecastErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of some forecasts, in units of the series.

    Attributes
    ----------
    bias
        Mean of forecast minus value.
    naive_mae, n_naive
        Mean absolute error of repeating the last season, on the rows where that is known, and how many these are.
    relative_mae
        The model's error over the naive one's, on these rows: below 1 the model is better.
    mase, rmsse
        Scaled by `ForecastReport.scale`; None without one.
    pinball
        Mean loss of each quantile.
    coverage, coverage_low, coverage_high
        Share of values between the outermost quantiles, with its 95 % interval (Clopper-Pearson, which supposes rows
        that do not depend on each other).
    """

    n: int
    mae: float
    rmse: float
    bias: float
    n_naive: int = 0
    naive_mae: float | None = None
    relative_mae: float | None = None
    mase: float | None = None
    rmsse: float | None = None
    pinball: list[float] = []
    coverage: float | None = None
    coverage_low: float | None = None
    coverage_high: float | None = None


class HorizonErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of the forecasts so many steps ahead."""

    horizon: int
    errors: ForecastErrors


class ForecastWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of the forecasts for a stretch of time: from `start`, before `end`, as the model's input says it."""

    start: str
    end: str
    errors: ForecastErrors


class ForecastReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model's forecasts.

    Attributes
    ----------
    season
        Steps in one.
    n_rows, n_labelled
        Answered rows, and those of them whose value has come.
    scale, scale_from
        Mean absolute difference of values a season apart, and where it was taken from: `training` or `live` rows.
    quantiles
        Levels; the outermost two are the prediction interval.
    """

    season: int
    n_rows: int
    n_labelled: int
    scale: float | None = None
    scale_from: str | None = None
    quantiles: list[float] = []
    overall: ForecastErrors | None = None
    horizons: list[HorizonErrors] = []
    windows: list[ForecastWindow] = []


class ClusterShare(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows had an answer, in the reference and now."""

    label: str
    reference: float
    current: float


class ShareWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive rows whose answers are compared with the reference.

    Attributes
    ----------
    p_value, adjusted_p_value
        Chi-squared over clusters, or Kolmogorov-Smirnov over scores; adjusted over the windows (Benjamini-Hochberg).
    differs
        The adjusted p-value is at most 0.01.
    """

    start: datetime
    end: datetime
    n_rows: int
    p_value: float
    adjusted_p_value: float
    differs: bool


class Distances(msgspec.Struct, frozen=True, kw_only=True):
    """How far rows lie from the reference, in standard deviations of its columns.

    Attributes
    ----------
    median_reference, median_current, high_reference, high_current
        Medians and 95 % quantiles of the mean distance to the three nearest reference rows.
    far_share
        Rows that lie further than 95 % of held-back reference rows.
    p_value
        Of so many of them, if rows were of the reference's kind.
    """

    n_rows: int
    median_reference: float
    median_current: float
    high_reference: float
    high_current: float
    far_share: float
    p_value: float


class UnsupervisedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model without a target.

    Attributes
    ----------
    answers
        `clusters` or `scores`; None where answers have no reference.
    """

    n_rows: int
    answers: str | None = None
    shares: list[ClusterShare] = []
    windows: list[ShareWindow] = []
    distances: Distances | None = None
