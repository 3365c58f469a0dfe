"""Read metric points back, a page at a time, along the key that clusters them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import from_micros
from noria.core.errors import Invalid, unknown_name
from noria.tracking.entities import MetricPage, MetricPoint
from noria.tracking.limits import shorten
from noria.tracking.rows import Row, latest_points, point_value
from noria.tracking.tables import metric_points, tracking_keys

_ORDER = (metric_points.c.step, metric_points.c.at, metric_points.c.is_nan, metric_points.c.value)


def read_history(
    connection: sa.Connection, *, run: int, run_id: str, key: str, limit: int, after: str | None
) -> MetricPage:
    """Read up to `limit` points of a metric, from the one that follows the token `after`.

    ::

        select step, at, is_nan, value from metric_points
        where run_pk = … and key_pk = (select pk from tracking_keys where key = …)
        and (step, at, is_nan, value) > (…)
        order by step, at, is_nan, value limit …

    Raises
    ------
    NotFound
        If the run has no metric of this key; the hint has the near one.
    """
    key_pk = sa.select(tracking_keys.c.pk).where(tracking_keys.c.key == key).scalar_subquery()
    query = (
        sa.select(*_ORDER)
        .where(metric_points.c.run_pk == run)
        .where(metric_points.c.key_pk == key_pk)
        .order_by(*_ORDER)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(sa.tuple_(*_ORDER) > _place(after))
    rows = connection.execute(query).mappings().all()
    if not rows and after is None:
        known = [point.key for point in latest_points(connection, run)]
        raise unknown_name(f"metric of the run `{run_id}` called", shorten(key), known)
    items = [
        MetricPoint(key=key, value=point_value(row), step=row["step"], at=from_micros(row["at"]))
        for row in rows[:limit]
    ]
    return MetricPage(items=items, next=_token(rows[limit - 1]) if len(rows) > limit else None)


def _token(row: Row) -> str:
    return f"{row['step']}_{row['at']}_{row['is_nan']}_{float(row['value']).hex()}"


def _place(token: str) -> sa.Tuple:
    try:
        step, at, is_nan, value = token.split("_")
        place: tuple[Any, ...] = (int(step), int(at), int(is_nan), float.fromhex(value))
        for number in place[:3]:
            number.to_bytes(8, signed=True)  # OverflowError for what no database holds
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"`{shorten(token)}` does not continue a history", hint="Pass `next` of the page before"
        ) from error
    return sa.tuple_(*(sa.literal(part, column.type) for part, column in zip(place, _ORDER, strict=True)))
