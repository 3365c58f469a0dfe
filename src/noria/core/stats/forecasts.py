"""Errors of forecasts: by horizon, and beside those of repeating the last season."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveScale:
    """How far a series is from its own last season.

    Attributes
    ----------
    mae, rmse
        Mean absolute, and root of the mean squared, difference of values a season apart, in units of the series.
    n
        Pairs of values that it was taken from.
    """

    mae: float
    rmse: float
    n: int


def seasonal_naive(
    places: Ints, horizons: Ints, values: Floats, series: NDArray[np.int64], *, season: int
) -> Floats:
    """Forecast by the value of the last season that was known when the forecast was made.

    Parameters
    ----------
    places : ndarray of int, shape (n_rows,)
        Time that is forecast, counted in steps.
    horizons : ndarray of int, shape (n_rows,)
        Steps ahead, at least 1.
    values : ndarray, shape (n_rows,)
        What came, NaN where it is not known yet.
    series : ndarray of int, shape (n_rows,)
        Which series each row is of.
    season
        Steps in a season, at least 1; 1 repeats the last value.

    Returns
    -------
    ndarray, shape (n_rows,)
        Value at place - season * ceil(horizon / season) of the same series; NaN where the rows do not hold it.

    Raises
    ------
    Invalid
        If `season` or a horizon is below 1, or lengths differ.

    Examples
    --------
    >>> steps = np.arange(5)
    >>> one = np.zeros(5, dtype=np.int64)
    >>> seasonal_naive(steps, one + 1, np.array([3.0, 4.0, 5.0, 6.0, 7.0]), one, season=2)
    array([nan, nan,  3.,  4.,  5.])

    References
    ----------
    Hyndman, R. J. and Athanasopoulos, G. (2021). Forecasting: principles and practice, 3rd edition, section 5.2.
    """
    if season < 1:
        raise Invalid(f"A season has at least 1 step, not `{season}`")
    if not len(places) == len(horizons) == len(values) == len(series):
        raise Invalid("Times, horizons, values and series have different lengths")
    if len(horizons) and int(horizons.min()) < 1:
        raise Invalid(f"A forecast is at least 1 step ahead, not `{int(horizons.min())}`")
    known = {
        (int(s), int(p)): float(v) for s, p, v in zip(series, places, values, strict=True) if math.isfinite(v)
    }
    back = places - season * -(-horizons // season)
    return np.array([known.get((int(s), int(p)), np.nan) for s, p in zip(series, back, strict=True)])


def naive_scale(places: Ints, values: Floats, series: NDArray[np.int64], *, season: int) -> NaiveScale | None:
    """Measure how far values are from those a season before; None without a pair, or where they never differ.

    The scale of MASE and RMSSE. A value that several rows have counts once.
    """
    rows = np.unique(np.column_stack([series, places]), axis=0, return_index=True)[1]
    places, values, series = places[rows], values[rows], series[rows]
    before = seasonal_naive(places, np.ones_like(places), values, series, season=season)
    off = np.abs(values - before)
    off = off[np.isfinite(off)]
    if not off.size or not off.any():
        return None
    return NaiveScale(mae=float(off.mean()), rmse=float(np.sqrt(np.mean(off**2))), n=int(off.size))


def mase(errors: Floats, scale: NaiveScale) -> float:
    """Mean absolute scaled error: below 1 the forecasts are better than repeating the season was on the scale's rows.

    Hyndman, R. J. and Koehler, A. B. (2006). Another look at measures of forecast accuracy. International Journal of
    Forecasting 22.
    """
    return float(np.mean(np.abs(errors))) / scale.mae


def rmsse(errors: Floats, scale: NaiveScale) -> float:
    """Root mean squared scaled error.

    Makridakis, S., Spiliotis, E. and Assimakopoulos, V. (2022). M5 accuracy competition: results, findings and
    conclusions. International Journal of Forecasting 38. There the season is one step.
    """
    return float(np.sqrt(np.mean(np.square(errors)))) / scale.rmse


def pinball(values: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Mean pinball loss of quantile forecasts.

    Parameters
    ----------
    values : ndarray, shape (n_rows,)
    quantiles : ndarray, shape (n_rows, n_levels)
    levels
        In (0, 1), one for each column.

    Returns
    -------
    ndarray, shape (n_levels,)
        In units of the values; least in expectation for the true quantile.

    Raises
    ------
    Invalid
        If a level is outside (0, 1), or there are not as many columns as levels.

    Examples
    --------
    >>> pinball(np.array([10.0, 10.0]), np.array([[8.0], [12.0]]), [0.9]).round(3)
    array([1.])

    References
    ----------
    Koenker, R. and Bassett, G. (1978). Regression quantiles. Econometrica 46.
    """
    if quantiles.ndim != 2 or quantiles.shape[1] != len(levels):
        raise Invalid(f"There are {len(levels)} levels and quantiles of shape {quantiles.shape}")
    for level in levels:
        if not 0 < level < 1:
            raise Invalid(f"The level `{level}` is not between 0 and 1")
    over = values[:, np.newaxis] - quantiles
    chosen = np.asarray(levels)
    return np.asarray(np.maximum(chosen * over, (chosen - 1) * over).mean(axis=0))
