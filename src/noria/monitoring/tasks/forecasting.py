"""Errors of a model that forecasts. Pure: rows in, report out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.forecasts import NaiveScale, mase, naive_scale, pinball, rmsse, seasonal_naive
from noria.core.stats.intervals import clopper_pearson
from noria.core.stats.samples import Bools, Floats, Ints
from noria.monitoring.tasks.entities import (
    ForecastErrors,
    Forecasting,
    ForecastReport,
    ForecastWindow,
    HorizonErrors,
)

MOST_WINDOWS: Final = 30
MOST_HORIZONS: Final = 500
_FEWEST_PAIRS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """A forecast and, once it is known, what came."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    actual: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    places: Ints
    times: Floats
    horizons: Ints
    series: NDArray[np.int64]
    predicted: Floats
    actual: Floats
    naive: Floats
    quantiles: Floats  # shape (n_rows, n_levels), NaN where a row has none

    @property
    def scored(self) -> Bools:
        """Rows with a forecast and a value."""
        return np.asarray(np.isfinite(self.predicted) & np.isfinite(self.actual))


def forecast_report(
    task: Forecasting, rows: Sequence[ForecastRow], training: Sequence[ForecastRow] = ()
) -> ForecastReport:
    """Measure forecasts by horizon and over time, beside those of repeating the last season.

    Parameters
    ----------
    rows
        Answered rows in any order.
    training
        Rows of the training sample with what came, from which the scale of MASE and RMSSE is taken where they hold at
        least 20 pairs of values a season apart; of the rows themselves otherwise.

    Raises
    ------
    Invalid
        If an input that the task names is not there, or a time or horizon cannot be read; the message names it.
    """
    if not rows:
        return ForecastReport(season=task.season, n_rows=0, n_labelled=0, quantiles=task.quantiles)
    read, step = _read(task, rows)
    scored = read.scored
    scale, scale_from = _scale(task, read, training, step)
    report = ForecastReport(
        season=task.season,
        n_rows=len(rows),
        n_labelled=int(scored.sum()),
        scale=scale.mae if scale else None,
        scale_from=scale_from,
        quantiles=task.quantiles,
        overall=_errors(task, read, scored, scale),
    )
    if report.overall is None:
        return report
    ahead = np.unique(read.horizons[scored])[:MOST_HORIZONS]
    by_horizon = [(int(h), _errors(task, read, scored & (read.horizons == h), scale)) for h in ahead]
    return ForecastReport(
        **{
            name: getattr(report, name)
            for name in report.__struct_fields__
            if name not in ("horizons", "windows")
        },
        horizons=[HorizonErrors(horizon=h, errors=errors) for h, errors in by_horizon if errors],
        windows=_windows(task, rows, read, scored, scale, step),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideNaive:
    """Forecasts of one horizon beside those of repeating the last season, in the order of their times.

    Attributes
    ----------
    own, naive
        Absolute errors of both on the same rows, shape (n,).
    seasons
        Number of the season that each row is in, shape (n,); rising.
    """

    horizon: int
    own: Floats
    naive: Floats
    seasons: Ints


def beside_naive(task: Forecasting, rows: Sequence[ForecastRow]) -> list[BesideNaive]:
    """Pair the errors of forecasts with those of the seasonal baseline, by horizon, where both are known.

    Raises
    ------
    Invalid
        As `forecast_report`.
    """
    if not rows:
        return []
    read, _ = _read(task, rows)
    known = read.scored & np.isfinite(read.naive)
    found = []
    for horizon in np.unique(read.horizons[known])[:MOST_HORIZONS].tolist():
        chosen = np.flatnonzero(known & (read.horizons == horizon))
        chosen = chosen[np.argsort(read.places[chosen], kind="stable")]
        found.append(
            BesideNaive(
                horizon=horizon,
                own=np.abs(read.predicted[chosen] - read.actual[chosen]),
                naive=np.abs(read.naive[chosen] - read.actual[chosen]),
                seasons=read.places[chosen] // task.season,
            )
        )
    return found


def _read(task: Forecasting, rows: Sequence[ForecastRow]) -> tuple[_Rows, float]:
    times = _times(task, rows)
    step = _step(times)
    horizons = _horizons(task, rows)
    names = [str(_value(row, task.series)) if task.series else "" for row in rows]
    series = np.unique(names, return_inverse=True)[1].astype(np.int64)
    actual = np.array([math.nan if row.actual is None else float(row.actual) for row in rows])
    places = np.round((times - times.min()) / step).astype(np.int64)
    n_levels = len(task.quantiles)
    return (
        _Rows(
            places=places,
            times=times,
            horizons=horizons,
            series=series,
            predicted=np.array([_number(row.outputs.get("predictions")) for row in rows]),
            actual=actual,
            naive=seasonal_naive(places, horizons, actual, series, season=task.season),
            quantiles=np.array([_levels(row.outputs.get("quantiles"), n_levels) for row in rows]).reshape(
                len(rows), n_levels
            ),
        ),
        step,
    )


def _scale(
    task: Forecasting, read: _Rows, training: Sequence[ForecastRow], step: float
) -> tuple[NaiveScale | None, str | None]:
    if training:
        times = _times(task, training)
        names = [str(_value(row, task.series)) if task.series else "" for row in training]
        known = naive_scale(
            np.round((times - times.min()) / step).astype(np.int64),
            np.array([math.nan if row.actual is None else float(row.actual) for row in training]),
            np.unique(names, return_inverse=True)[1].astype(np.int64),
            season=task.season,
        )
        if known is not None and known.n >= _FEWEST_PAIRS:
            return known, "training"
    live = naive_scale(read.places, read.actual, read.series, season=task.season)
    return (live, "live") if live is not None else (None, None)


def _errors(task: Forecasting, read: _Rows, chosen: Bools, scale: NaiveScale | None) -> ForecastErrors | None:
    if not chosen.any():
        return None
    errors = read.predicted[chosen] - read.actual[chosen]
    beside = np.isfinite(read.naive[chosen])
    off = np.abs(read.naive[chosen] - read.actual[chosen])[beside]
    naive = float(off.mean()) if off.size else None
    own = float(np.abs(errors[beside]).mean()) if off.size else None
    given = (
        np.isfinite(read.quantiles[chosen]).all(axis=1)
        if task.quantiles
        else np.zeros(len(errors), dtype=bool)
    )
    values, quantiles = read.actual[chosen][given], read.quantiles[chosen][given]
    inside = None
    if len(task.quantiles) > 1 and given.any():
        held = (values >= quantiles.min(axis=1)) & (values <= quantiles.max(axis=1))
        inside = clopper_pearson(int(held.sum()), int(held.size))
    return ForecastErrors(
        n=int(chosen.sum()),
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt(np.mean(errors**2))),
        bias=float(errors.mean()),
        n_naive=int(beside.sum()),
        naive_mae=naive,
        relative_mae=own / naive if own is not None and naive else None,
        mase=mase(errors, scale) if scale else None,
        rmsse=rmsse(errors, scale) if scale else None,
        pinball=pinball(values, quantiles, task.quantiles).tolist() if given.any() else [],
        coverage=inside.estimate if inside else None,
        coverage_low=inside.lower if inside else None,
        coverage_high=inside.upper if inside else None,
    )


def _windows(
    task: Forecasting,
    rows: Sequence[ForecastRow],
    read: _Rows,
    scored: Bools,
    scale: NaiveScale | None,
    step: float,
) -> list[ForecastWindow]:
    """Cut windows of whole seasons, the shortest of which there are thirty at most."""
    span = int(read.places[scored].max()) + 1
    n_seasons = max(1, math.ceil(span / task.season / MOST_WINDOWS))
    length = n_seasons * task.season
    is_text = isinstance(_value(rows[0], task.time), str)
    made = []
    for first in range(0, span, length):
        errors = _errors(task, read, scored & (read.places >= first) & (read.places < first + length), scale)
        if errors is not None:
            ends = [float(read.times.min()) + place * step for place in (first, first + length)]
            start, end = (
                datetime.fromtimestamp(at, UTC).isoformat() if is_text else f"{at:.12g}" for at in ends
            )
            made.append(ForecastWindow(start=start, end=end, errors=errors))
    return made


def _times(task: Forecasting, rows: Sequence[ForecastRow]) -> Floats:
    return np.array([_time(_value(row, task.time), task.time) for row in rows], dtype=np.float64)


def _time(value: Any, name: str) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Invalid(
                f"`{name}` is `{value}`, which is no time", hint="Write it as in ISO 8601"
            ) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    number = _number(value)
    if not math.isfinite(number):
        raise Invalid(f"`{name}` is `{value}`, which is no time", hint="Give a number, or a text in ISO 8601")
    return number


def _step(times: Floats) -> float:
    """Give the commonest distance of neighbouring times."""
    gaps = np.diff(np.unique(times))
    if not gaps.size:
        return 1.0
    values, counts = np.unique(gaps.round(6), return_counts=True)
    return float(values[counts.argmax()])


def _horizons(task: Forecasting, rows: Sequence[ForecastRow]) -> Ints:
    if task.horizon is None:
        return np.ones(len(rows), dtype=np.int64)
    found = []
    for row in rows:
        value = _number(_value(row, task.horizon))
        if not math.isfinite(value) or value < 1 or value != round(value):
            raise Invalid(
                f"`{task.horizon}` is `{_value(row, task.horizon)}`: steps ahead are whole, from 1 on"
            )
        found.append(int(value))
    return np.array(found, dtype=np.int64)


def _value(row: ForecastRow, name: str) -> Any:
    if name not in row.inputs:
        known = ", ".join(f"`{each}`" for each in list(row.inputs)[:10])
        raise Invalid(f"The model has no input `{name}`", hint=f"Inputs: {known}")
    return row.inputs[name]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _levels(values: Any, n: int) -> list[float]:
    if not isinstance(values, (list, tuple)) or len(values) != n:
        return [math.nan] * n
    return [_number(value) for value in values]
