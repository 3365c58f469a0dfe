"""Histories of metrics in the orders and pages of MLflow."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Sequence
from operator import lt

from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.wire import wire_metric
from noria.tracking.entities import PointColumns

Point = tuple[float, int, int]
"""Value, milliseconds since 1970, step."""


def points_of(columns: PointColumns) -> list[Point]:
    """Give the points of columns."""
    return [
        (value, at // 1000, step)
        for value, at, step in zip(columns.values, columns.at, columns.steps, strict=True)
    ]


def by_time(points: list[Point]) -> list[Point]:
    """Put points in the order of time, then step, then value, NaN as the greatest."""
    moments = [at_ms for _, at_ms, _ in points]
    if all(map(lt, moments, moments[1:])):  # as nearly all histories are
        return points
    if any(math.isnan(value) for value, _, _ in points):
        return sorted(points, key=_by_time_with_nan)
    return sorted(points, key=_by_time)


def between(points: list[Point], first: int | None, last: int | None) -> list[Point]:
    """Give the points whose steps lie between two, both included."""
    if first is None or last is None:
        return points
    return [point for point in points if first <= point[2] <= last]


def evenly(points: Sequence[Point], limit: int) -> Sequence[Point]:
    """Choose at most `limit` of ordered points: the first of each of as many equal parts, and the last of all.

    The parts are those of SQL's `ntile`: where they cannot be equal, the first ones hold one more.

    Examples
    --------
    >>> [step for _, _, step in evenly([(0.0, 0, step) for step in range(10)], 4)]
    [0, 3, 6, 9]
    >>> [step for _, _, step in evenly([(0.0, 0, step) for step in range(10)], 1)]
    [9]
    """
    if len(points) <= limit:
        return points
    size, n_larger = divmod(len(points), limit)
    starts = [part * size + min(part, n_larger) for part in range(limit)]
    chosen = [points[start] for start in starts]
    chosen[-1] = points[-1]
    return chosen


def wired(points: Iterable[Point]) -> list[tuple[float | str, int, int]]:
    """Give points with values that JSON can hold."""
    found = list(points)
    # One sum tells of all values at once that none is NaN or infinite, which is nearly always so.
    if math.isfinite(sum([value for value, _, _ in found])):
        return found  # type: ignore[return-value]
    return [(wire_metric(value), at_ms, step) for value, at_ms, step in found]


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
    except binascii.Error as error:
        raise invalid("Invalid page token, could not base64-decode") from error
    try:
        offset = json.loads(decoded)["offset"]
    except (ValueError, TypeError, KeyError) as error:
        raise invalid(f"Invalid page token, decoded value={decoded!r}") from error
    if type(offset) is not int or offset < 0:
        raise invalid(f"Invalid page token, parsed value={{'offset': {offset!r}}}")
    return offset


def _by_time(point: Point) -> tuple[int, int, float]:
    value, at_ms, step = point
    return at_ms, step, value


def _by_time_with_nan(point: Point) -> tuple[int, int, bool, float]:
    value, at_ms, step = point
    is_nan = math.isnan(value)
    return at_ms, step, is_nan, 0.0 if is_nan else value
