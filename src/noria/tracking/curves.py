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
from noria.tracking.chunks import (
    MIN_OUTLINED,
    N_ENDS,
    OUTLINE_HEAD_BYTES,
    OUTLINE_POINT_BYTES,
    Columns,
    PackedPoints,
    Point,
    columns_of,
    outline,
    outline_of,
    unpack,
)
from noria.tracking.histories import read_points
from noria.tracking.limits import MAX_STEP
from noria.tracking.sampling import BLOCK, extremes, kept_places, n_blocks, stretches_of
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


class _Head(NamedTuple):
    """The beginning of a chunk, in the order of its columns; of a short one the whole."""

    first_step: int
    last_step: int
    n_points: int
    head: bytes


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

    One of very many points is read by the outlines of its chunks, which are not unpacked: a hundredth of it. The
    stretches of which least and greatest are shown then end where blocks do.

    Parameters
    ----------
    run, key
        Integer keys.
    first, last
        Steps between which it is read, both included.
    share
        Width of the moving average, as a share of all points between 0 and 1; 0 for none.
    """
    bounds = {"run": run, "key": key, "first": first, "last": last}
    rows = _ROWS.all(connection, bounds)
    # After the rows: what is packed meanwhile is there twice, not never.
    heads = [_Head(*row) for row in _HEADS.all(connection, bounds)]
    if not share and (drawn := _outlined(heads, rows, bounds, max_points)):
        return drawn
    parts = _parts(connection, rows, bounds) if heads else [_Rows(rows)]
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


def curve_of(outlines: Sequence[Columns], n_points: int, max_points: int) -> Curve:
    """Draw a curve from the outlines of its parts, which follow one another.

    Parameters
    ----------
    outlines
        Of `chunks.outline_of`; together they have at least as many blocks as the curve has stretches.
    n_points
        How many points the parts have.
    max_points
        At least 4.
    """
    lows, highs = (_side(outlines, side) for side in (0, 1))
    n_stretches = stretches_of(max_points)
    kept = [_point(outlines[0], 0)]
    for stretch in range(n_stretches):
        begin, end = (edge * len(lows.values) // n_stretches for edge in (stretch, stretch + 1))
        low, high = extremes(lows.values[begin:end], highs.values[begin:end])
        kept += sorted((_point(lows, begin + low), _point(highs, begin + high)))
    kept.append(_point(outlines[-1], 1))
    # What is an end or both extremes of its stretch came twice.
    return Curve(
        n_points, columns_of([kept[0], *(after for before, after in pairwise(kept) if after != before)]), []
    )


def _side(outlines: Sequence[Columns], side: int) -> Columns:
    """Join what outlines tell of their blocks: the least values for 0, the greatest for 1."""
    begin = N_ENDS + side
    return Columns(
        [step for each in outlines for step in each.steps[begin::2]],
        [at for each in outlines for at in each.at[begin::2]],
        [value for each in outlines for value in each.values[begin::2]],
    )


def _point(columns: Columns, place: int) -> Point:
    value = columns.values[place]
    if math.isnan(value):
        return (columns.steps[place], columns.at[place], 1, 0.0)
    return (columns.steps[place], columns.at[place], 0, value)


def _outlined(
    heads: Sequence[_Head], rows: Sequence[Point], bounds: dict[str, int], max_points: int
) -> Curve | None:
    """Draw a curve by outlines; None where they are too few for so many points, or not all there."""
    n_points = sum(each.n_points for each in heads) + len(rows)
    n_known = sum(n_blocks(each.n_points) for each in heads) + n_blocks(len(rows))
    spans = [(each.first_step, each.last_step) for each in heads]
    if n_points <= max_points or n_known < stretches_of(max_points):
        return None
    if not _follow_one_another(spans, rows, bounds):
        return None
    outlines: list[Columns] = []
    for each in heads:
        found = outline(each.head)
        if found is None and each.n_points >= MIN_OUTLINED:  # an earlier release packed it
            return None
        outlines.append(found or outline_of(unpack(each.head)))
    if rows:
        outlines.append(outline_of(columns_of(rows)))
    return curve_of(outlines, n_points, max_points)


def _parts(connection: sa.Connection, rows: Sequence[Point], bounds: dict[str, int]) -> Sequence[_Part]:
    chunks = _CHUNKS.all(connection, bounds)
    if _follow_one_another([(begin, end) for begin, end, _ in chunks], rows, bounds):
        packed: list[_Part] = [PackedPoints(data) for _, _, data in chunks]
        return [*packed, _Rows(rows)] if rows else packed
    points = read_points(connection, **bounds)
    return [_Rows(points)] if points else []


def _follow_one_another(
    spans: Sequence[tuple[int, int]], rows: Sequence[Point], bounds: dict[str, int]
) -> bool:
    """Tell whether chunks and the rows after them lie between the bounds, and begin where those before have ended."""
    every = [*spans, (rows[0][0], rows[-1][0])] if rows else spans
    is_whole = all(bounds["first"] <= begin and end <= bounds["last"] for begin, end in every)
    return is_whole and all(before[1] < after[0] for before, after in pairwise(every))


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


def _chunks(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(metric_chunks.c.first_step, metric_chunks.c.last_step, *columns)
        .where(*_of_metric(metric_chunks))
        .where(metric_chunks.c.last_step >= sa.bindparam("first"))
        .where(metric_chunks.c.first_step <= sa.bindparam("last"))
        .order_by(metric_chunks.c.first_step, metric_chunks.c.digest)
    )


def _head() -> sa.ColumnElement[Any]:
    """Give what is read of a chunk for its outline: the beginning that holds it, or a short chunk whole.

    The data of PostgreSQL's long rows stand outside of these, uncompressed, so that no more is read than that.
    """
    n_points, data = metric_chunks.c.n_points, metric_chunks.c.data
    n_kept = N_ENDS + 2 * ((n_points + (BLOCK - 1)) // BLOCK)
    n_bytes = sa.cast(OUTLINE_HEAD_BYTES + OUTLINE_POINT_BYTES * n_kept, sa.Integer)
    return sa.case((n_points < MIN_OUTLINED, data), else_=sa.func.substr(data, 1, n_bytes, type_=data.type))


_CHUNKS = Prepared(lambda _: _chunks(metric_chunks.c.data))
_HEADS = Prepared(lambda _: _chunks(metric_chunks.c.n_points, _head()))
