"""Read a metric as a curve to draw: few points, whatever there are, with its extremes and a moving average."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol

from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.tracking.chunks import Columns, PackedPoints, Point
from noria.tracking.histories import read_points
from noria.tracking.limits import MAX_STEP
from noria.tracking.sampling import kept_places
from noria.tracking.tables import metric_chunks, metric_points


class Curve(NamedTuple):
    """A metric by few of its points.

    Attributes
    ----------
    n_points
        How many there are.
    points
        Those that are kept, in the order of steps.
    averages
        A moving average at each of them; empty unless asked for, None where nothing is finite.
    """

    n_points: int
    points: Columns
    averages: list[float | None]


class _Part(Protocol):
    @property
    def values(self) -> Sequence[float]: ...

    def step(self, place: int) -> int: ...

    def at(self, place: int) -> int: ...


class _Rows:
    """Points that are not packed."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self.values = array("d", [math.nan if point[2] else point[3] for point in points])

    def step(self, place: int) -> int:
        return self._points[place][0]

    def at(self, place: int) -> int:
        return self._points[place][1]


def read_curve(
    connection: sa.Connection,
    run: int,
    key: int,
    max_points: int,
    *,
    first: int = -MAX_STEP - 1,
    last: int = MAX_STEP,
    share: float = 0.0,
) -> Curve:
    """Read a metric of a run by at most `max_points` points, its first, last, least and greatest among them.

    Parameters
    ----------
    run, key
        Integer keys.
    first, last
        Steps between which it is read, both included.
    share
        Width of the moving average, as a share of all points between 0 and 1; 0 for none.
    """
    parts = _parts(connection, run, key, first, last)
    values: array[float] = array("d")
    ends = []
    for part in parts:
        values.extend(part.values)
        ends.append(len(values))
    places = kept_places(values, max_points)
    points = Columns([], [], [])
    for place in places:
        index = bisect_right(ends, place)
        inner = place - (ends[index - 1] if index else 0)
        points.steps.append(parts[index].step(inner))
        points.at.append(parts[index].at(inner))
        points.values.append(values[place])
    averages = moving_averages(values, places, share) if share else []
    return Curve(len(values), points, averages)


def moving_averages(values: Sequence[float], places: Sequence[int], share: float) -> list[float | None]:
    """Average the finite values round some places.

    Parameters
    ----------
    share
        Width of the window as a share of all values; at the ends it is cut, on both sides alike.

    Examples
    --------
    >>> moving_averages([0.0, 3.0, 6.0, 0.0], [0, 1, 2], 0.75)
    [0.0, 3.0, 3.0]
    """
    half = int(len(values) * share) // 2
    sums = [0.0, *accumulate(values)]
    counts: Sequence[int] = range(len(sums))
    if not math.isfinite(sums[-1]):
        sums = [0.0, *accumulate(value if math.isfinite(value) else 0.0 for value in values)]
        counts = [0, *accumulate(math.isfinite(value) for value in values)]
    found: list[float | None] = []
    for place in places:
        reach = min(half, place, len(values) - 1 - place)
        begin, end = place - reach, place + reach + 1
        n_finite = counts[end] - counts[begin]
        found.append((sums[end] - sums[begin]) / n_finite if n_finite else None)
    return found


def _parts(connection: sa.Connection, run: int, key: int, first: int, last: int) -> Sequence[_Part]:
    bounds = {"run": run, "key": key, "first": first, "last": last}
    rows = _ROWS.all(connection, bounds)
    chunks = _CHUNKS.all(
        connection, bounds
    )  # after the rows: what is packed meanwhile is there twice, not never
    spans = [(begin, end) for begin, end, _ in chunks]
    if rows:
        spans.append((rows[0][0], rows[-1][0]))
    is_whole = all(first <= begin and end <= last for begin, end in spans)
    if is_whole and all(before[1] < after[0] for before, after in pairwise(spans)):
        packed: list[_Part] = [PackedPoints(data) for _, _, data in chunks]
        return [*packed, _Rows(rows)] if rows else packed
    points = read_points(connection, run, key, first, last)
    return [_Rows(points)] if points else []


def _of_metric(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    return [table.c.run_pk == sa.bindparam("run"), table.c.key_pk == sa.bindparam("key")]


def _order() -> tuple[sa.Column[Any], ...]:
    return (metric_points.c.step, metric_points.c.at, metric_points.c.is_nan, metric_points.c.value)


_ROWS = Prepared(
    lambda _: (
        sa.select(*_order())
        .where(*_of_metric(metric_points))
        .where(metric_points.c.step >= sa.bindparam("first"))
        .where(metric_points.c.step <= sa.bindparam("last"))
        .order_by(*_order())
    )
)
_CHUNKS = Prepared(
    lambda _: (
        sa.select(metric_chunks.c.first_step, metric_chunks.c.last_step, metric_chunks.c.data)
        .where(*_of_metric(metric_chunks))
        .where(metric_chunks.c.last_step >= sa.bindparam("first"))
        .where(metric_chunks.c.first_step <= sa.bindparam("last"))
        .order_by(metric_chunks.c.first_step, metric_chunks.c.digest)
    )
)
