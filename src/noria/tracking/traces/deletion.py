"""Delete traces, and free what they took."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import to_micros
from noria.tracking.traces.entities import TraceDeletion
from noria.tracking.traces.places import Place, in_chunks
from noria.tracking.traces.tables import trace_runs, traces

PURGED_AT_ONCE: Final = 1_000
"""How many traces one transaction of the clean-up takes, so that other writers get their turn."""


def delete_traces(connection: sa.Connection, place: Place, wanted: TraceDeletion) -> int:
    """Delete traces of an experiment, oldest first, and give their number."""
    keys = _chosen(connection, place, wanted)
    held = _hold(connection, keys)
    for chunk in in_chunks(held):
        _delete(connection, chunk)
    return len(held)


def purge_traces(connection: sa.Connection, experiment: int, limit: int = PURGED_AT_ONCE) -> int:
    """Delete at most `limit` traces of an experiment that goes for good; 0 when none is left.

    Parameters
    ----------
    experiment
        Key of the experiment.
    """
    keys = [row[0] for row in _SOME.all(connection, {"experiment": experiment, "limit": limit})]
    held = _hold(connection, keys)
    for chunk in in_chunks(held):
        _delete(connection, chunk)
    return len(held)


def count_traces(connection: sa.Connection, experiment: int) -> int:
    """Count the traces of an experiment."""
    row = _COUNT.first(connection, {"experiment": experiment})
    return 0 if row is None else int(row[0])


def _chosen(connection: sa.Connection, place: Place, wanted: TraceDeletion) -> list[int]:
    columns = traces.c
    where: list[sa.ColumnElement[bool]] = [columns.experiment_pk == place.pk]
    if wanted.started_before is not None:
        where.append(columns.started_ms <= to_micros(wanted.started_before) // 1_000)
    query: sa.Select[Any] = sa.select(columns.pk, columns.started_ms, columns.id).where(*where)
    if not wanted.ids:
        oldest = query.order_by(columns.started_ms, columns.id).limit(wanted.limit)
        return [row[0] for row in connection.execute(oldest)]
    found: list[Any] = []
    for at in range(0, len(wanted.ids), _IDS):
        found += connection.execute(query.where(columns.id.in_(wanted.ids[at : at + _IDS]))).fetchall()
    found.sort(key=lambda row: (row[1], row[2]))
    return [row[0] for row in found[: wanted.limit]]


def _hold(connection: sa.Connection, keys: list[int]) -> list[int]:
    """Hold those rows that are still there, and give them.

    In the order in which everybody does it, or a writer and this could wait for each other.
    """
    return [row[0] for row in _HOLD.all(connection, {"traces": as_list(keys)})]


def _delete(connection: sa.Connection, keys: list[int]) -> None:
    wanted = {"traces": as_list(keys)}
    _UNLINK.run(connection, wanted)
    _DELETE.run(connection, wanted)


_IDS: Final = 500
_SOME = Prepared(
    sa.select(traces.c.pk)
    .where(traces.c.experiment_pk == sa.bindparam("experiment"))
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_COUNT = Prepared(
    sa.select(sa.func.count()).select_from(traces).where(traces.c.experiment_pk == sa.bindparam("experiment"))
)
_HOLD = Prepared(
    lambda dialect: (
        sa.select(traces.c.pk)
        .where(traces.c.pk.in_(listed(dialect, "traces", sa.BigInteger())))
        .order_by(traces.c.id)
        .with_for_update()
    )
)
_UNLINK = Prepared(
    lambda dialect: sa.delete(trace_runs).where(
        trace_runs.c.trace_id.in_(
            sa.select(traces.c.id).where(traces.c.pk.in_(listed(dialect, "traces", sa.BigInteger())))
        )
    )
)
_DELETE = Prepared(
    lambda dialect: sa.delete(traces).where(traces.c.pk.in_(listed(dialect, "traces", sa.BigInteger())))
)
