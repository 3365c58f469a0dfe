"""Write metric points: a row each when they come singly, one packed row for many of one metric.

Either way a point that is there already stays as it is, so a batch may be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.database.schema import to_micros
from noria.tracking.chunks import Columns, Point, ordered, pack, points_of
from noria.tracking.entities import LogBatch
from noria.tracking.point_entities import MetricPoint
from noria.tracking.run_keys import RunKey
from noria.tracking.tables import metric_chunks, metric_latest, metric_points

MIN_PACKED = 64
"""Points of one metric in one batch from which on they become a chunk: fewer are not worth unpacking."""


def columns_by_key(batch: LogBatch) -> dict[str, Columns]:
    """Gather a batch's points by metric."""
    by_key: dict[str, list[MetricPoint]] = {}
    for point in batch.metrics:
        by_key.setdefault(point.key, []).append(point)
    gathered = {
        key: Columns(
            [point.step for point in points],
            [to_micros(point.at) for point in points],
            [point.value for point in points],
        )
        for key, points in by_key.items()
    }
    for key, given in batch.points.items():
        if given.steps:
            columns = Columns(given.steps, given.at, given.values)
            gathered[key] = _joined(gathered[key], columns) if key in gathered else columns
    return gathered


def write_points(connection: sa.Connection, run: RunKey, points: Mapping[int, Columns]) -> None:
    """Write points by the integer key of their metric."""
    rows: list[tuple[Any, ...]] = []
    packed: list[tuple[Any, ...]] = []
    latest: list[tuple[Any, ...]] = []
    for key in sorted(points):
        columns = points[key]
        if len(columns.steps) == 1:
            last = _single(columns)
            rows.append((run.pk, key, *last))
            latest.append((run.pk, key, *last, run.experiment))
            continue
        columns = ordered(columns)
        if len(columns.steps) >= MIN_PACKED:
            packed.append((run.pk, key, *pack(columns)))
            last = latest_of(points_of(_tail(columns)))
        else:
            single = points_of(columns)
            rows += [(run.pk, key, *point) for point in single]
            last = latest_of(single)
        latest.append((run.pk, key, *last, run.experiment))
    if rows:
        _ADD_POINTS.many_tuples(connection, rows)
    if packed:
        _ADD_CHUNKS.many_tuples(connection, packed)
    if latest:
        _SET_LATEST.many_tuples(connection, latest)


def add_chunks(connection: sa.Connection, run: int, key: int, parts: Iterable[Columns]) -> None:
    """Write points of a metric, in order, as one packed row for each part."""
    _ADD_CHUNKS.many_tuples(connection, [(run, key, *pack(columns)) for columns in parts])


def latest_of(points: Sequence[Point]) -> Point:
    """Give the latest of points: the greatest step, then time, then a number before NaN, then value.

    It does not depend on the order in which points arrive, so a batch that is sent again cannot turn time back.
    """
    return max(points, key=lambda point: (point[0], point[1], -point[2], point[3]))


def _single(columns: Columns) -> Point:
    (step,), (at,), (value,) = columns
    return (step, at, 0, value) if value == value else (step, at, 1, 0.0)  # noqa: PLR0124 - NaN


def _tail(columns: Columns) -> Columns:
    """Give those of ordered columns that have the greatest step and time."""
    steps, at, values = columns
    first = len(steps) - 1
    while first > 0 and steps[first - 1] == steps[-1] and at[first - 1] == at[-1]:
        first -= 1
    return Columns(steps[first:], at[first:], values[first:])


def _joined(columns: Columns, given: Columns) -> Columns:
    return Columns(columns.steps + given.steps, columns.at + given.at, columns.values + given.values)


def _order(columns: Any) -> sa.Tuple:
    return sa.tuple_(columns.step, columns.at, -columns.is_nan, columns.value)


def _bound(table: sa.Table) -> dict[str, Any]:
    return {column.name: sa.bindparam(column.name, type_=column.type) for column in table.c}


def _set_latest(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, metric_latest).values(_bound(metric_latest))
    return insert.on_conflict_do_update(
        index_elements=["run_pk", "key_pk"],
        set_={name: insert.excluded[name] for name in ("step", "at", "is_nan", "value")},
        where=_order(insert.excluded) > _order(metric_latest.c),
    )


def _add_to(table: sa.Table) -> Prepared:
    return Prepared(lambda dialect: upsertable(dialect, table).values(_bound(table)).on_conflict_do_nothing())


_ADD_POINTS = _add_to(metric_points)
_ADD_CHUNKS = _add_to(metric_chunks)
_SET_LATEST = Prepared(_set_latest)
