"""How far from the reference the rows usually are at this hour of the week, learned from past windows. Pure.

Traffic has days and weeks: at night other people ask than by day, and each night is far from a reference of all hours.
So a window is compared with past windows of the same hour and weekday. The logarithm of each column's PSI is taken,
its mean over the past windows of the same hour (without the one that is looked at) is its forecast, and the residuals
of all hours together say how far a window may be from its forecast: a conformal prediction interval by leave-one-out
residuals. Of each window only the largest residual of all columns and segments counts, so that one bound holds for all
of them together.

References
----------
Barber, R. F., Candès, E. J., Ramdas, A. and Tibshirani, R. J. (2021). Predictive inference with the jackknife+. Annals
of Statistics 49(1).
Xu, C. and Xie, Y. (2021). Conformal prediction interval for dynamic time-series. ICML (leave-one-out residuals of a
series).
Westfall, P. H. and Young, S. S. (1993). Resampling-based multiple testing. Wiley (the largest statistic of many).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from noria.core.stats.samples import Floats, Ints
from noria.monitoring.windows.entities import HistoryPoint

FEWEST: Final = 100
"""Windows of history before anything is learned: a bound that one in a hundred exceeds needs as many."""

FEWEST_ALIKE: Final = 3
"""Of these, windows of the same hour and weekday; else of the same hour on working days, or at weekends."""

_HOURS: Final = 24
_DAYS: Final = 7
_FIRST_WEEKDAY: Final = 3  # the first of January 1970 was a Thursday; Monday is 0
_SATURDAY: Final = 5
_LEAST: Final = 0.01
"""Added to a PSI in nats before its logarithm is taken: smaller ones are as good as none."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual at an hour.

    Attributes
    ----------
    psi
        Segment → column → PSI up to which it is usual, in nats; empty where nothing is known.
    words
        What it was learned from, or what is lacking.
    """

    psi: dict[str, dict[str, float]] = field(default_factory=dict)
    words: str

    @property
    def is_known(self) -> bool:
        """Tell whether there was enough history."""
        return bool(self.psi)


def hour_of(at: datetime) -> int:
    """Give whole hours since 1970, in UTC."""
    return int(at.timestamp()) // 3600


def usual(points: Sequence[HistoryPoint], at: datetime, *, level: float) -> Usual:
    """Learn what is usual at a moment.

    Parameters
    ----------
    points
        Of one version; at most one for each hour.
    at
        Start of the window; hours and weekdays are those of UTC.
    level
        Share of windows like those of the history that exceed the bounds, in any column or segment, in (0, 1).

    Notes
    -----
    Holds where windows of the same hour of the week are exchangeable: a trend or a holiday is none of these.
    """
    wanted = max(FEWEST, math.ceil(1 / level))
    if len(points) < wanted:
        return _lacking(f"{len(points)} of {wanted} windows of history")
    hours = np.array([point.hour for point in points])
    here = np.array([hour_of(at)])
    for slot, words in _SLOTS:
        slots, mine = slot(hours), slot(here)[0]
        n_alike = int(np.count_nonzero(slots == mine))
        if n_alike >= FEWEST_ALIKE:
            found = _bounds(points, slots, mine, level)
            if found is None:
                return _lacking(f"{wanted} windows of history with others of their hour")
            return Usual(psi=found, words=f"{n_alike} windows of the same {words}, of {len(points)} in all")
    return _lacking(f"{n_alike} of {FEWEST_ALIKE} windows of this hour")


def _lacking(what: str) -> Usual:
    return Usual(words=f"It is not known what is usual at this hour: there are {what}")


def _bounds(
    points: Sequence[HistoryPoint], slots: Ints, mine: int, level: float
) -> dict[str, dict[str, float]] | None:
    keys = sorted(
        {(segment, column) for point in points for segment, of in point.psi.items() for column in of}
    )
    logs = np.array([_row(point, keys) for point in points])
    residuals = _left_out(logs, slots)
    known = ~np.isnan(residuals)
    scales = np.sqrt(np.nansum(residuals**2, axis=0) / np.maximum(known.sum(axis=0), 1))
    scales = np.where(scales > 0, scales, 1.0)
    worst = np.max(np.where(known, residuals / scales, -np.inf), axis=1)
    worst = np.sort(worst[np.isfinite(worst)])
    rank = math.ceil((1 - level) * (worst.size + 1))
    if rank > worst.size:
        return None
    alike = logs[slots == mine]
    bounds: dict[str, dict[str, float]] = {}
    for place, (segment, column) in enumerate(keys):
        past = alike[:, place][~np.isnan(alike[:, place])]
        if past.size >= FEWEST_ALIKE:
            bound = math.exp(past.mean() + worst[rank - 1] * scales[place]) - _LEAST
            bounds.setdefault(segment, {})[column] = bound
    return bounds


def _row(point: HistoryPoint, keys: Sequence[Key]) -> list[float]:
    values = (point.psi.get(segment, {}).get(column) for segment, column in keys)
    return [math.nan if value is None else math.log(max(value, 0.0) + _LEAST) for value in values]


def _left_out(logs: Floats, slots: Ints) -> Floats:
    """Give each value less the mean of the others of its slot, shape (n_points, n_keys); NaN where it is alone."""
    _, places = np.unique(slots, return_inverse=True)
    known = ~np.isnan(logs)
    filled = np.where(known, logs, 0.0)
    sums = np.zeros((places.max() + 1, logs.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, places, filled)
    np.add.at(counts, places, known)
    others = counts[places] - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known & (others > 0), logs - (sums[places] - filled) / others, np.nan)


def _hour_of_week(hours: Ints) -> Ints:
    return (hours + _FIRST_WEEKDAY * _HOURS) % (_HOURS * _DAYS)


def _hour_and_kind_of_day(hours: Ints) -> Ints:
    of_week = _hour_of_week(hours)
    return of_week % _HOURS + _HOURS * (of_week // _HOURS >= _SATURDAY)


_SLOTS: Final[tuple[tuple[Callable[[Ints], Ints], str], ...]] = (
    (_hour_of_week, "hour and weekday"),
    (_hour_and_kind_of_day, "hour on working days or at weekends"),
)
