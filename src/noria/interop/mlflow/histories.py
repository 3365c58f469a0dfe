"""Histories of metrics in the orders and pages of MLflow."""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.messages import Metric
from noria.interop.mlflow.wire import wire_metric
from noria.tracking.point_entities import PointColumns

Point = tuple[int, int, float]
"""Milliseconds since 1970, step, value."""


def by_time(columns: PointColumns) -> list[Point]:
    """Give points in the order of time, then step, then value, NaN as the greatest."""
    moments = [at // 1000 for at in columns.at]
    points = list(zip(moments, columns.steps, columns.values, strict=True))
    points.sort(key=_nan_last if math.isnan(sum(columns.values)) else None)
    return points


def at_steps(columns: PointColumns, first: int | None, last: int | None, limit: int) -> list[Point]:
    """Give at most `limit` points, evenly chosen from those whose steps lie between two, both included.

    Parameters
    ----------
    columns
        In the order of steps.
    first, last
        None for all.
    """
    steps = columns.steps
    begin = 0 if first is None else bisect_left(steps, first)
    end = len(steps) if last is None else bisect_right(steps, last)
    return [
        (columns.at[place] // 1000, steps[place], columns.values[place])
        for place in evenly(range(begin, end), limit)
    ]


def evenly(places: Sequence[int], limit: int) -> Sequence[int]:
    """Choose at most `limit` places: the first of each of as many equal parts, and the last of all.

    The parts are those of SQL's `ntile`: where they cannot be equal, the first ones hold one more.

    Examples
    --------
    >>> evenly(range(10), 4)
    [0, 3, 6, 9]
    >>> evenly(range(10), 1)
    [9]
    """
    if len(places) <= limit:
        return places
    size, n_larger = divmod(len(places), limit)
    chosen = [places[part * size + min(part, n_larger)] for part in range(limit)]
    chosen[-1] = places[-1]
    return chosen


def wire_points(key: str, points: Iterable[Point], run_id: str | None = None) -> list[Metric]:
    """Give points of a metric as they are sent."""
    found = [Metric(key, value, at_ms, step, run_id=run_id) for at_ms, step, value in points]
    # One sum tells of all values at once that none is NaN or infinite, which is nearly always so.
    if not math.isfinite(sum([point.value for point in found])):  # type: ignore[misc]
        for point in found:
            point.value = wire_metric(point.value)  # type: ignore[arg-type]
    return found


def token_of(offset: int) -> str:
    """Give the token of the page that begins at an offset.

    Examples
    --------
    >>> offset_of(token_of(7))
    7
    """
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(token: str) -> int:
    """Read the token of a page; the first page has none.

    Raises
    ------
    MlflowError
        If it is none of ours.
    """
    if not token:
        return 0
    try:
        decoded = base64.b64decode(token)
    except ValueError as error:  # no base64, or not even ASCII
        raise invalid("Invalid page token, could not base64-decode") from error
    try:
        offset = json.loads(decoded)["offset"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise invalid(f"Invalid page token, decoded value={decoded!r}") from error
    if type(offset) is not int or offset < 0:
        raise invalid(f"Invalid page token, parsed value={{'offset': {offset!r}}}")
    return offset


def _nan_last(point: Point) -> tuple[int, int, bool, float]:
    at_ms, step, value = point
    is_nan = math.isnan(value)
    return at_ms, step, is_nan, 0.0 if is_nan else value
