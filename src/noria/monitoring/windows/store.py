"""Keep and read windows and what belongs to them, in the caller's transaction."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.delays.tables import monitor_label_delays
from noria.monitoring.entities import Look, SegmentQuality
from noria.monitoring.quality import begun_anew
from noria.monitoring.tables import monitor_windows
from noria.monitoring.windows.entities import History, HistoryPoint, WindowCounts, WindowCountsList
from noria.monitoring.windows.tables import monitor_counts, monitor_history, monitor_segments

KEPT_WINDOWS: Final = 500
"""Counters of so many windows are kept; their verdicts stay."""


KEPT_HOURS: Final = 24 * 7 * 10
"""History is kept for ten weeks."""


def keep(
    database: Database, connection: sa.Connection, monitor_pk: int, look: Look, *, keep_windows: int
) -> int:
    """Keep what a look found, and forget what is too old: counters, history, and all but the newest windows.

    Returns
    -------
    int
        How many of its windows are new.
    """
    known = _known(connection, monitor_pk, [window.index for window in look.windows])
    _upsert(
        database,
        connection,
        monitor_windows,
        [{"monitor_pk": monitor_pk, "index": window.index, "body": window} for window in look.windows],
    )
    rows = [{"monitor_pk": monitor_pk, **msgspec.structs.asdict(counts)} for counts in look.counts]
    _upsert(database, connection, monitor_counts, rows)
    segments = [
        {"monitor_pk": monitor_pk, "version": each.version, "segment": each.segment, "body": each}
        for each in look.segments
    ]
    _upsert(database, connection, monitor_segments, segments)
    if look.history:
        points = [{"monitor_pk": monitor_pk, **msgspec.structs.asdict(point)} for point in look.history]
        # Only the first window of an hour counts: chosen by its time, not by what was in it.
        connection.execute(database.insert(monitor_history).values(points).on_conflict_do_nothing())
    if look.delays is not None:
        delays = [{"monitor_pk": monitor_pk, "body": look.delays}]
        _upsert(database, connection, monitor_label_delays, delays)
    _forget(connection, monitor_pk, look, keep_windows)
    return len(look.windows) - len(known)


def counts_of(connection: sa.Connection, monitor_pk: int, index: int) -> WindowCountsList:
    """Read the counters of a window."""
    c = monitor_counts.c
    query = (
        sa.select(c.index, c.version, c.segment, c.body)
        .where(c.monitor_pk == monitor_pk, c.index == index)
        .order_by(c.version, c.segment)
    )
    rows = connection.execute(query).mappings()
    return WindowCountsList(items=[WindowCounts(**row) for row in rows])


def history_of(connection: sa.Connection, monitor_pk: int, version: int) -> History:
    """Read the history of a version."""
    c = monitor_history.c
    query = (
        sa.select(c.version, c.hour, c.psi)
        .where(c.monitor_pk == monitor_pk, c.version == version)
        .order_by(c.hour)
    )
    return History(items=[HistoryPoint(**row) for row in connection.execute(query).mappings()])


def segments_of(connection: sa.Connection, monitor_pk: int) -> list[SegmentQuality]:
    """Read quality by version and segment."""
    c = monitor_segments.c
    query = sa.select(c.body).where(c.monitor_pk == monitor_pk).order_by(c.version, c.segment)
    return list(connection.execute(query).scalars())


def delays_of(connection: sa.Connection, monitor_pk: int) -> LabelDelays:
    """Read the delays of an endpoint's labels; of none where no label came yet."""
    c = monitor_label_delays.c
    found = connection.execute(sa.select(c.body).where(c.monitor_pk == monitor_pk)).scalar_one_or_none()
    return LabelDelays() if found is None else found


def begin_segment_anew(connection: sa.Connection, of_monitor: sa.ColumnElement[bool], segment: str) -> None:
    """Forget the evidence of a segment, of which an alert is closed."""
    c = monitor_segments.c
    query = sa.select(c.monitor_pk, c.version, c.body).where(of_monitor, c.segment == segment)
    for row in connection.execute(query).all():
        report = row.body.report
        fresh = msgspec.structs.replace(
            row.body, detector=None, report=None if report is None else begun_anew(report)
        )
        connection.execute(
            sa.update(monitor_segments)
            .where(c.monitor_pk == row.monitor_pk, c.version == row.version, c.segment == segment)
            .values(body=fresh)
        )


def _known(connection: sa.Connection, monitor_pk: int, indexes: list[int]) -> set[int]:
    c = monitor_windows.c
    query = sa.select(c.index).where(c.monitor_pk == monitor_pk, c.index.in_(indexes))
    return set(connection.execute(query).scalars()) if indexes else set()


def _upsert(
    database: Database, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]
) -> None:
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    insert = database.insert(table)
    values = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    statement = insert.on_conflict_do_update(index_elements=keys, set_=values)
    connection.execute(statement, rows)


def old_windows(connection: sa.Connection, monitor_pk: int, keep_windows: int) -> sa.ColumnElement[bool]:
    """Give the condition that a window is none of the newest of its monitor."""
    c = monitor_windows.c
    newest = sa.select(sa.func.max(c.index)).where(c.monitor_pk == monitor_pk)
    last = connection.execute(newest).scalar_one() or 0
    return sa.and_(c.monitor_pk == monitor_pk, c.index <= last - keep_windows)


def _forget(connection: sa.Connection, monitor_pk: int, look: Look, keep_windows: int) -> None:
    if look.windows:
        old = old_windows(connection, monitor_pk, keep_windows)
        connection.execute(sa.delete(monitor_windows).where(old))
    if look.windows and look.cutting is not None:
        c = monitor_counts.c
        past = (c.monitor_pk == monitor_pk, c.index <= look.cutting.last - KEPT_WINDOWS)
        connection.execute(sa.delete(monitor_counts).where(*past))
    if look.history:
        h = monitor_history.c
        newest = max(point.hour for point in look.history)
        connection.execute(
            sa.delete(monitor_history).where(h.monitor_pk == monitor_pk, h.hour < newest - KEPT_HOURS)
        )
