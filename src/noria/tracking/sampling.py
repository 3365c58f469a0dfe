"""Show a long history by few of its points, without hiding a peak."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noria.tracking.chunks import Point


def sampled(points: Sequence[Point], max_points: int) -> list[Point]:
    """Keep at most `max_points` of points in order, as `kept_places` chooses them.

    Examples
    --------
    >>> [p[0] for p in sampled([(step, 0, 0, float(step == 70)) for step in range(100)], 6)]
    [0, 1, 50, 70, 99]
    """
    values = [math.nan if point[2] else point[3] for point in points]
    return [points[place] for place in kept_places(values, max_points)]


def kept_places(values: Sequence[float], max_points: int) -> Sequence[int]:
    """Choose at most `max_points`: the first, the last, and of each stretch between its least and its greatest.

    Points are parted into stretches of equal count; a stretch in which every value is NaN keeps its first point. What
    is greatest or least, or has a first or last step, in the whole is so in what is kept.

    Parameters
    ----------
    values
        In order; may be NaN.
    max_points
        At least 4.
    """
    n_points = len(values)
    if n_points <= max_points:
        return range(n_points)
    n_inner = n_points - 2
    n_stretches = (max_points - 2) // 2
    kept = [0]
    for stretch in range(n_stretches):
        begin = 1 + stretch * n_inner // n_stretches
        end = 1 + (stretch + 1) * n_inner // n_stretches
        kept += _extremes(list(values[begin:end]), begin)
    return [*kept, n_points - 1]


def _extremes(values: list[float], begin: int) -> list[int]:
    least, greatest = min(values), max(values)
    if math.isnan(least):  # only where the first is: no later one passes for the least
        numbers = [value for value in values if not math.isnan(value)]
        if not numbers:
            return [begin]
        least, greatest = min(numbers), max(numbers)
    places = begin + values.index(least), begin + values.index(greatest)
    return [places[0]] if places[0] == places[1] else sorted(places)
