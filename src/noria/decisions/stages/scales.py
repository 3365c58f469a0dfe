"""Scales: the line that takes a column in another unit back to what it was.

One window seldom tells a slope and an offset by its quantiles alone, for a season moves them as well. What the other
columns say about each row moves with it: a regression of the new values on their estimates gives the line whatever
rows became frequent. Where values come in steps (whole numbers, tenths), the steps give the slope, and the values that
come most often the offset, without any error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.stages.distances import distance

Floats = NDArray[np.float64]

_LEVELS = np.linspace(0.05, 0.95, 19)
_FEWEST = 20
_EXPLAINED = 0.3
_WHOLE = 0.85  # of the correlation on training rows
_LEAST_TOLD = 0.2  # correlation
_MOST_STEPS = 5_000
_ON_STEP = 0.02
_NEAR = 0.3  # of the logarithm of a slope
_FARTHEST = 0.5  # of the spread of a column
_ALIKE = 0.01
_NO_CHANGE = 0.1
_NEARLY = 0.08
_INSIDE = 0.95
_MUCH_NEARER = 0.4  # of Kolmogorov's distance
_ROUNDING = 1e-3  # of a step
_ZERO = 1e-12
_WIDTHS = math.log(2.0)

SURE_FACTOR = math.log(3.0)
"""Logarithm of a ratio from which on no world moves by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a value became: `slope` times what it was, and `offset`.

    Attributes
    ----------
    points : ndarray or None, shape (k,)
        Training values in order, where they come in steps: a value that comes to lie on one of them, but for rounding,
        is that one, as code that asks for equality needs it.
    """

    slope: float
    offset: float
    points: Floats | None = None

    def back(self, values: NDArray[Any]) -> Floats:
        """Give the values as they were."""
        found = (values.astype(np.float64) - self.offset) / self.slope
        if self.points is None:
            return found
        after = np.clip(np.searchsorted(self.points, found), 1, len(self.points) - 1)
        before = self.points[after - 1]
        nearest = np.where(found - before < self.points[after] - found, before, self.points[after])
        return np.where(np.abs(found - nearest) < _ROUNDING * np.diff(self.points).min(), nearest, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What the other columns say about one.

    Attributes
    ----------
    then : ndarray, shape (n,)
        Estimates of training rows that did not teach them, of which `actual` are the values.
    now : ndarray, shape (m,)
        Estimates of the rows of today.
    """

    then: Floats
    actual: Floats
    now: Floats


_FACTORS = (
    *(10.0**power for power in range(1, 10)),
    *(7.0, 12.0, 24.0, 60.0, 1_440.0, 3_600.0, 86_400.0),  # time, and months of a year
    *(
        2.54,
        25.4,
        3.280_839_895,
        1.609_344,
        1.852,
        3.6,
        2.236_936_292,
        1.943_844_492,
    ),  # inch in cm and mm, foot, mile, knots, km/h
    *(2.204_622_622, 28.349_523_125, 3.785_411_784),  # pound, ounce, gallon
    *(4.184, 1.341_022_09, 6.894_757_293, 33.863_886_67),  # calorie, horsepower, psi, inch of mercury
)
_UNITS = (
    *(Line(slope=factor, offset=0.0) for factor in _FACTORS),
    *(Line(slope=1 / factor, offset=0.0) for factor in _FACTORS),
    Line(slope=1.8, offset=32.0),  # °C to °F
    Line(slope=1 / 1.8, offset=-32 / 1.8),
)


def lines(
    then: Floats,
    now: Floats,
    estimates: Estimates | None = None,
    told: Sequence[Line] = (),
    lately: Floats | None = None,
) -> list[Line]:
    """List the lines by which a column may have changed, the surest first.

    Parameters
    ----------
    then : ndarray, shape (n,)
        Training values.
    now : ndarray, shape (m,)
        Values of today, in the order of `estimates.now`; what is not finite is left out.
    told
        Lines that are known already; they come before those that are fitted here.
    lately : ndarray, shape (k,), optional
        Values just before the change. Where no other column tells the line, the known unit is likeliest that brings
        values to where these lay: all of training may hold many seasons.
    """
    known, there = then[np.isfinite(then)], np.isfinite(now)
    if min(len(known), int(there.sum())) < _FEWEST or np.ptp(known) <= 0 or np.ptp(now[there]) <= 0:
        return []
    related = _by_relations(now, estimates)
    fitted = (related, _by_quantiles(known, now[there]))
    rough = [*told, *(line for line in fitted if line is not None)]
    exact = [line for line in (_on_steps(line, known, now[there]) for line in rough) if line is not None]
    spread = float(known.std())
    exact += [unit for line in rough for unit in [_unit(line, spread)] if unit is not None]
    before = None if lately is None or related is not None else _unit_since(lately, now[there])
    first = [] if before is None else [before]
    changed = [
        line
        for line in [*first, *exact, *rough]
        if not _alike(line, Line(slope=1.0, offset=0.0), spread, _NO_CHANGE)
    ]
    return _apart(changed, spread)


def goes_along(now: Floats, estimates: Estimates | None) -> bool:
    """Tell whether a column goes with what the others say of it as well as it did, in whatever unit.

    Where that relation became weaker no unit explains it, and a regression would only give a flatter line. Where there
    hardly was one, nothing tells.
    """
    if estimates is None:
        return True
    known, there = np.isfinite(estimates.actual), np.isfinite(now)
    if min(known.sum(), there.sum()) < _FEWEST or not np.ptp(estimates.then[known]) * np.ptp(
        estimates.now[there]
    ):
        return True
    then = np.corrcoef(estimates.then[known], estimates.actual[known])[0, 1]
    now_goes = abs(np.corrcoef(estimates.now[there], now[there])[0, 1])
    return bool(then >= _LEAST_TOLD and now_goes >= _WHOLE * then)


def constant_ratio(before: Floats, after: Floats, *, fewest: int, most_apart: float) -> float | None:
    """Give the ratio in which all quantiles stand to what they were, if it is one and no mere shift.

    A column far from 0 has ratios alike under any shift. There they have to differ less than its values do; or lie
    where no shift of a world leads, with the middle half of the values wider or narrower by the same ratio.

    Parameters
    ----------
    before, after : ndarray, shape (n_levels,)
        Quantiles at the same levels, the middle half of the values between the third and the third from the end.
    fewest
        Different quantiles beside 0 that it takes.
    most_apart
        How far a ratio may lie from the one in the middle, as a share of it.

    Examples
    --------
    >>> volts = np.array([235.0, 236.0, 238.0, 240.0, 242.0, 244.0, 246.0])
    >>> constant_ratio(volts, np.round(volts / 1000, 4), fewest=4, most_apart=0.2)
    0.001
    >>> constant_ratio(volts, volts + 700, fewest=4, most_apart=0.2) is None
    True
    """
    usable = (np.abs(before) > _ZERO) & (np.abs(after) > _ZERO)
    if len(np.unique(before[usable])) < fewest:
        return None
    ratios = after[usable] / before[usable]
    ratio = float(np.median(ratios))
    apart = float(np.max(np.abs(ratios / ratio - 1)))
    if ratio <= 0 or apart > most_apart:
        return None
    varies = float(np.max(np.abs(before[usable] / np.median(before[usable]) - 1)))
    if apart * 3 <= varies:
        return ratio
    was, now = (float(side[-3] - side[2]) for side in (before, after))
    alike = was > 0 and now > 0 and abs(math.log(now / was / ratio)) <= _WIDTHS
    return ratio if alike and abs(math.log(ratio)) >= SURE_FACTOR else None


def factor_of(then: Floats, now: Floats) -> float | None:
    """Give the known factor by which values lie outside what they were, divided by which they lie as they did.

    Parameters
    ----------
    then : ndarray, shape (n,)
        Training values.
    now : ndarray, shape (m,)
        Those values of today that lie outside.
    """
    known, now = np.sort(then[np.isfinite(then)]), now[np.isfinite(now)]
    if len(known) < _FEWEST or not len(now):
        return None
    levels = np.quantile(known, _LEVELS)
    found: list[tuple[float, float]] = []
    for factor in (*_FACTORS, *(1 / each for each in _FACTORS)):
        were = now / factor
        if ((were >= known[0]) & (were <= known[-1])).mean() >= _INSIDE:
            shares = np.searchsorted(np.sort(were), levels) / len(were)
            found.append((float(np.abs(shares - _LEVELS).max()), factor))
    return min(found)[1] if found else None


def factor_near(ratio: float, within: float) -> float | None:
    """Give the known factor nearest to a ratio, if it lies within so much of it (of logarithms)."""
    if not ratio > 0:
        return None
    nearest = min((*_FACTORS, *(1 / each for each in _FACTORS)), key=lambda each: abs(math.log(ratio / each)))
    return nearest if abs(math.log(ratio / nearest)) <= within else None


def _unit(line: Line, spread: float) -> Line | None:
    """Give the change of units that a line nearly is."""
    for unit in _UNITS:
        if _alike(line, unit, spread, _NEARLY):
            return unit
    return None


def _unit_since(lately: Floats, now: Floats) -> Line | None:
    """Give the known unit that brings values nearest to those before, if it brings them much nearer."""
    lately = lately[np.isfinite(lately)]
    if len(lately) < _FEWEST:
        return None
    best = min(_UNITS, key=lambda unit: distance(unit.back(now), lately))
    return best if distance(best.back(now), lately) <= _MUCH_NEARER * distance(now, lately) else None


def _by_quantiles(then: Floats, now: Floats) -> Line | None:
    before, after = np.quantile(then, _LEVELS), np.quantile(now, _LEVELS)
    if np.ptp(before) <= 0 or np.ptp(after) <= 0:
        return None
    slope, offset = np.polyfit(before, after, 1)
    return Line(slope=float(slope), offset=float(offset))


def _by_relations(now: Floats, estimates: Estimates | None) -> Line | None:
    """Regress on estimates, which are themselves regressed to the values that they stand for."""
    if estimates is None or np.ptp(estimates.then) <= 0 or np.ptp(estimates.now) <= 0:
        return None
    known = np.isfinite(estimates.actual)
    share = np.corrcoef(estimates.then[known], estimates.actual[known])[0, 1]
    if not share > math.sqrt(_EXPLAINED):
        return None
    per, base = np.polyfit(estimates.then[known], estimates.actual[known], 1)
    there = np.isfinite(now)
    expected = base + per * estimates.now[there]
    slope, offset = np.polyfit(expected, now[there], 1)
    fits = abs(np.corrcoef(expected, now[there])[0, 1]) > share / 2
    return Line(slope=float(slope), offset=float(offset)) if fits and slope else None


def _on_steps(line: Line, then: Floats, now: Floats) -> Line | None:
    """Move a line to where the steps of both sides, and the values that come most often, lie on one another."""
    before, after = _step(then), _step(now)
    if before is None or after is None:
        return None
    times = max(1, round(after / (before * abs(line.slope))))
    slope = math.copysign(after / (before * times), line.slope)
    if abs(math.log(slope / line.slope)) > _NEAR:
        return None
    points, counts = np.unique(now, return_counts=True)
    shares = counts / len(now)
    known, frequent = np.unique(then, return_counts=True)
    reach = max(1, math.ceil(_FARTHEST * then.std() / before))
    # The steps tell the offset but for whole steps: begin where the middle of the values stays where it was.
    middle = float(now.mean()) - slope * float(line.back(now).mean())
    first = points[0] - slope * known[0]
    nearest = first - slope * before * round((first - middle) / (slope * before))
    best, most = nearest, -1.0
    for move in sorted(range(-reach, reach + 1), key=abs):
        offset = nearest + move * slope * before
        were = (points - offset) / slope
        at = np.clip(np.searchsorted(known, were - before / 2), 0, len(known) - 1)
        same = np.abs(known[at] - were) < before / 4
        overlap = float(np.minimum(shares, np.where(same, frequent[at] / len(then), 0.0)).sum())
        if overlap > most + 1e-9:
            best, most = offset, overlap
    return Line(slope=slope, offset=float(best), points=known)


def _step(values: Floats) -> float | None:
    """Give the distance that all values lie apart by whole multiples, or None."""
    points = np.unique(values)
    if len(points) < 3:
        return None
    gaps = np.diff(points)
    gaps = gaps[gaps > 1e-9 * np.ptp(points)]
    step = float(gaps.min())
    for _ in range(8):
        rest = gaps / step - np.round(gaps / step)
        if (np.abs(rest) < _ON_STEP).all():
            n_steps = round(float(np.ptp(points)) / step)
            return float(np.ptp(points)) / n_steps if n_steps <= _MOST_STEPS else None
        step = float(np.abs(rest[np.abs(rest) >= _ON_STEP]).min() * step)
    return None


def _apart(found: list[Line], spread: float) -> list[Line]:
    """Leave out lines that do nearly what an earlier one does."""
    kept: list[Line] = []
    for line in found:
        if not any(_alike(line, other, spread, _ALIKE) for other in kept):
            kept.append(line)
    return kept


def _alike(line: Line, other: Line, spread: float, within: float) -> bool:
    return (
        line.slope * other.slope > 0
        and abs(math.log(line.slope / other.slope)) < within
        and abs(line.offset - other.offset) < 2 * within * spread * abs(other.slope)
    )
