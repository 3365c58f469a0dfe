"""Read metric points back: rows and packed chunks as one history, each point once."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from operator import le
from typing import Any, NamedTuple

from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import from_micros
from noria.core.errors import Invalid, unknown_name
from noria.tracking.chunks import Columns, Point, columns_of, points_of, unpack
from noria.tracking.keys import known_keys
from noria.tracking.limits import MAX_STEP, shorten
from noria.tracking.point_entities import HistoryOrder, MetricPoint, PointColumns
from noria.tracking.tables import metric_chunks, metric_latest, metric_points, tracking_keys

_BEFORE_ALL: Point = (-MAX_STEP - 1, 0, 0, 0.0)


class Page(NamedTuple):
    """Points in order; `next` continues after them, or is None at the end."""

    points: list[Point]
    next: str | None


def read_page(
    connection: sa.Connection,
    *,
    run: int,
    run_id: str,
    key: str,
    limit: int,
    after: str | None,
    order: HistoryOrder,
) -> Page:
    """Read up to `limit` points of a metric, from the one that follows the token `after`.

    Raises
    ------
    NotFound
        If the run has no metric of this key; the hint has the near one.
    """
    key_pk = metric_key(connection, run, run_id, key)
    place = None if after is None else _place(after)
    if order is HistoryOrder.TIME:
        found = sorted(read_points(connection, run, key_pk), key=_by_time)
        start = 0 if place is None else bisect_right(found, _by_time(place), key=_by_time)
        found = found[start : start + limit + 1]
    else:
        found = _next_points(connection, run, key_pk, place or _BEFORE_ALL, limit + 1)
    return Page(found[:limit], _token(found[limit - 1]) if len(found) > limit else None)


def read_points(
    connection: sa.Connection, run: int, key: int, first: int = -MAX_STEP - 1, last: int = MAX_STEP
) -> list[Point]:
    """Read the points of a metric whose steps lie between two, both included, in the order of steps."""
    bounds = {"run": run, "key": key, "first": first, "last": last}
    rows = _ROWS.all(connection, bounds)
    parts = [points_of(unpack(data)) for (data,) in _CHUNKS.all(connection, bounds)]
    merged = merge([*parts, rows] if rows else parts)
    if parts and merged and (merged[0][0] < first or merged[-1][0] > last):
        low = bisect_right(merged, first - 1, key=_step)
        merged = merged[low : bisect_right(merged, last, key=_step)]
    return merged


def read_columns(connection: sa.Connection, run: int, key: int, order: HistoryOrder) -> Columns:
    """Read all points of a metric as columns."""
    bounds = {"run": run, "key": key, "first": -MAX_STEP - 1, "last": MAX_STEP}
    rows = _ROWS.all(connection, bounds)
    parts = [unpack(data) for (data,) in _CHUNKS.all(connection, bounds)]
    if not rows and all(before.steps[-1] < after.steps[0] for before, after in pairwise(parts)):
        columns = Columns(*(list(chain.from_iterable(column)) for column in zip(*parts, strict=True)))
    else:
        columns = columns_of(merge([*map(points_of, parts), rows]))
    if order is HistoryOrder.TIME and not all(map(le, columns.at, columns.at[1:])):
        return columns_of(sorted(points_of(columns), key=_by_time))
    return columns


def merge(parts: Sequence[list[Point]]) -> list[Point]:
    """Merge lists of points, each in order and without repetition, into one.

    Examples
    --------
    >>> merge([[(0, 5, 0, 1.0), (1, 6, 0, 2.0)], [(1, 6, 0, 2.0), (2, 7, 0, 3.0)]])
    [(0, 5, 0, 1.0), (1, 6, 0, 2.0), (2, 7, 0, 3.0)]
    """
    if len(parts) < 2:
        return parts[0] if parts else []
    filled = sorted(part for part in parts if part)
    joined = [point for part in filled for point in part]
    if all(before[-1] < after[0] for before, after in pairwise(filled)):
        return joined
    joined.sort()
    return joined[:1] + [after for before, after in pairwise(joined) if after != before]


def metric_items(key: str, points: Sequence[Point]) -> list[MetricPoint]:
    """Give points as they cross the wire one by one."""
    return [
        MetricPoint(key=key, value=math.nan if is_nan else value, step=step, at=from_micros(at))
        for step, at, is_nan, value in points
    ]


def wire_columns(columns: Columns) -> PointColumns:
    """Give columns as they cross the wire."""
    return PointColumns(steps=columns.steps, at=columns.at, values=columns.values)


def _next_points(connection: sa.Connection, run: int, key: int, place: Point, n_points: int) -> list[Point]:
    """Read the first points after a place, unpacking no more chunks than they lie in."""
    step, at, is_nan, value = place
    bounds = {"run": run, "key": key, "step": step, "at": at, "is_nan": is_nan, "value": value}
    rows = _ROWS_AFTER.all(connection, {**bounds, "n": n_points})
    heads = _HEADS_AFTER.all(connection, bounds)
    parts = [rows]
    found = rows
    for some in _enough_at_a_time(heads, n_points):
        # Chunks that begin after the last point wanted cannot hold one before it.
        if len(found) >= n_points and found[n_points - 1][0] < some[0][0]:
            break
        parts += [_after(place, part) for part in _unpacked(connection, run, key, some)]
        found = merge(parts)
    return found[:n_points]


def _enough_at_a_time(heads: list[tuple[Any, ...]], n_points: int) -> Iterator[list[tuple[Any, ...]]]:
    """Part the heads of chunks, in order, into groups that hold about as many points as are wanted."""
    group: list[tuple[Any, ...]] = []
    gathered = 0
    for head in heads:
        group.append(head)
        gathered += head[2]
        if gathered >= n_points:
            yield group
            group, gathered = [], 0
    if group:
        yield group


def _unpacked(
    connection: sa.Connection, run: int, key: int, heads: Sequence[tuple[Any, ...]]
) -> list[list[Point]]:
    steps = as_list(sorted({head[0] for head in heads}))
    wanted = {(head[0], bytes(head[1])) for head in heads}
    rows = _CHUNKS_AT.all(connection, {"run": run, "key": key, "steps": steps})
    return [points_of(unpack(data)) for first, digest, data in rows if (first, bytes(digest)) in wanted]


def _after(place: Point, points: list[Point]) -> list[Point]:
    return points[bisect_right(points, place) :]


def metric_key(connection: sa.Connection, run: int, run_id: str, key: str) -> int:
    """Give the integer key of a metric that a run has.

    Raises
    ------
    NotFound
        If the run has no metric of this key; the hint has the near one.
    """
    key_pk = known_keys(connection, [key]).get(key)
    if key_pk is None or _HAS.first(connection, {"run": run, "key": key_pk}) is None:
        known = [name for (name,) in _KEYS_OF.all(connection, {"run": run})]
        raise unknown_name(f"metric of the run `{run_id}` called", shorten(key), known)
    return key_pk


def _by_time(point: Point) -> Point:
    step, at, is_nan, value = point
    return (at, step, is_nan, value)


def _step(point: Point) -> int:
    return point[0]


def _token(point: Point) -> str:
    step, at, is_nan, value = point
    return f"{step}_{at}_{is_nan}_{float(value).hex()}"


def _place(token: str) -> Point:
    try:
        step, at, is_nan, value = token.split("_")
        place = (int(step), int(at), int(is_nan), float.fromhex(value))
        for number in place[:3]:
            number.to_bytes(8, signed=True)  # OverflowError for what no database holds
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"`{shorten(token)}` does not continue a history", hint="Pass `next` of the page before"
        ) from error
    return place


def _order() -> tuple[sa.Column[Any], ...]:
    return (metric_points.c.step, metric_points.c.at, metric_points.c.is_nan, metric_points.c.value)


def _of_metric(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    return [table.c.run_pk == sa.bindparam("run"), table.c.key_pk == sa.bindparam("key")]


_ROWS = Prepared(
    lambda _: (
        sa.select(*_order())
        .where(*_of_metric(metric_points))
        .where(metric_points.c.step >= sa.bindparam("first"))
        .where(metric_points.c.step <= sa.bindparam("last"))
        .order_by(*_order())
    )
)
_ROWS_AFTER = Prepared(
    lambda _: (
        sa.select(*_order())
        .where(*_of_metric(metric_points))
        .where(
            sa.tuple_(*_order())
            > sa.tuple_(*(sa.bindparam(column.name, type_=column.type) for column in _order()))
        )
        .order_by(*_order())
        .limit(sa.bindparam("n", type_=sa.BigInteger))
    )
)
_CHUNKS = Prepared(
    lambda _: (
        sa.select(metric_chunks.c.data)
        .where(*_of_metric(metric_chunks))
        .where(metric_chunks.c.last_step >= sa.bindparam("first"))
        .where(metric_chunks.c.first_step <= sa.bindparam("last"))
        .order_by(metric_chunks.c.first_step, metric_chunks.c.digest)
    )
)
_HEADS_AFTER = Prepared(
    lambda _: (
        sa.select(metric_chunks.c.first_step, metric_chunks.c.digest, metric_chunks.c.n_points)
        .where(*_of_metric(metric_chunks))
        .where(metric_chunks.c.last_step >= sa.bindparam("step"))
        .order_by(metric_chunks.c.first_step, metric_chunks.c.digest)
    )
)
_CHUNKS_AT = Prepared(
    lambda dialect: (
        sa.select(metric_chunks.c.first_step, metric_chunks.c.digest, metric_chunks.c.data)
        .where(*_of_metric(metric_chunks))
        .where(metric_chunks.c.first_step.in_(listed(dialect, "steps", sa.BigInteger())))
        .order_by(metric_chunks.c.first_step, metric_chunks.c.digest)
    )
)
_HAS = Prepared(lambda _: sa.select(metric_latest.c.step).where(*_of_metric(metric_latest)))
_KEYS_OF = Prepared(
    lambda _: (
        sa.select(tracking_keys.c.key)
        .join(metric_latest, metric_latest.c.key_pk == tracking_keys.c.pk)
        .where(metric_latest.c.run_pk == sa.bindparam("run"))
        .order_by(tracking_keys.c.key)
    )
)
