"""Show a long history by few of its points, without hiding a peak."""

from __future__ import annotations

from collections.abc import Sequence

from noria.tracking.chunks import Point, columns_of
from noria.tracking.point_entities import PointColumns, RunHistory


def sampled(points: Sequence[Point], max_points: int) -> list[Point]:
    """Keep at most `max_points`: the first, the last, and of each stretch between its least and its greatest.

    Points are parted into stretches of equal count; a stretch in which every value is NaN keeps its first point. What
    is greatest or least, or has a first or last step, in the whole is so in what is kept.

    Parameters
    ----------
    points
        In order.
    max_points
        At least 4.

    Examples
    --------
    >>> [p[0] for p in sampled([(step, 0, 0, float(step == 70)) for step in range(100)], 6)]
    [0, 1, 50, 70, 99]
    """
    n_points = len(points)
    if n_points <= max_points:
        return list(points)
    inner = points[1:-1]
    n_stretches = (max_points - 2) // 2
    kept = [points[0]]
    for stretch in range(n_stretches):
        begin = stretch * len(inner) // n_stretches
        end = (stretch + 1) * len(inner) // n_stretches
        kept += _extremes(inner[begin:end])
    return [*kept, points[-1]]


def sampled_history(run_id: str, key: str, points: Sequence[Point], max_points: int) -> list[RunHistory]:
    """Give the history of a metric by few points, or nothing where there is none."""
    if not points:
        return []
    shown = columns_of(sampled(points, max_points))
    columns = PointColumns(steps=shown.steps, at=shown.at, values=shown.values)
    return [RunHistory(run_id=run_id, key=key, n_points=len(points), points=columns)]


def _extremes(points: Sequence[Point]) -> list[Point]:
    numbers = [point for point in points if not point[2]]
    if not numbers:
        return list(points[:1])
    least, greatest = min(numbers, key=_value), max(numbers, key=_value)
    return [least] if least is greatest else sorted((least, greatest))


def _value(point: Point) -> float:
    return point[3]
