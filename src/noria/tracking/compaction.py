"""Pack points that came one by one: a third of the space, and read at once.

Those of a run that ended are packed soon after its end, those of a run that goes on whenever a metric has many. Each
transaction takes a limited number of points out of their rows and writes them as a packed one, so a process that dies
in the middle loses nothing, several may pack at once, and whoever logs waits for one of them at most.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.events.log import EventLog
from noria.tracking.chunks import columns_of
from noria.tracking.entities import RunStatus
from noria.tracking.events import RUN_FINISHED
from noria.tracking.points import MIN_PACKED, add_chunks
from noria.tracking.tables import metric_latest, metric_points, runs

READER = "tracking.compaction"
"""Name of the cursor on the event log: what ended since it moved is looked at."""

RUNS_AT_ONCE = 100
MIN_LIVE = 1_000
"""Points of a metric in rows from which on they are packed while the run goes on: fewer are read as quickly."""

MAX_PACKED = 10_000
"""Points of a chunk at most: whoever reads a page of a history unpacks what lies around it."""


def compact_ended(context: Context) -> int:
    """Pack the points of runs that ended since the last call, a limited number of them; gives how many points."""
    log = EventLog(context.database)
    ended = log.read(log.cursor(READER), limit=RUNS_AT_ONCE, types=[RUN_FINISHED])
    n_packed = sum(compact_run(context, event.subject.removeprefix("run:")) for event in ended)
    if ended:
        log.advance(READER, ended[-1].position)
    return n_packed


def compact_live(context: Context) -> int:
    """Pack the metrics of runs that go on where there are many points in rows; gives how many points."""
    with context.database.read() as connection:
        owners = list(connection.execute(sa.select(projects.c.pk)).scalars())
    return sum(_compact_project(context, owner) for owner in owners)


def _compact_project(context: Context, project: int) -> int:
    n_packed = 0
    place: tuple[Any, ...] = (0, 0)
    while True:
        values = {"project": project, "started_at": place[0], "pk": place[1], "limit": RUNS_AT_ONCE}
        with context.database.read() as connection:
            live = _LIVE.all(connection, values)
            runs_here = {"runs": as_list(pk for _, pk in live), "before": MIN_LIVE - 1}
            tails = _LONG_TAILS.all(connection, runs_here)
        n_packed += sum(_pack(context, run, key) for run, key in tails)
        if len(live) < RUNS_AT_ONCE:
            return n_packed
        place = live[-1]


def compact_run(context: Context, run_id: str) -> int:
    """Pack the points of one run, metric by metric where there are enough, and give how many were packed."""
    with context.database.read() as connection:
        tails = _TAILS.all(connection, {"run_id": run_id, "least": MIN_PACKED})
    return sum(_pack(context, run, key) for run, key in tails)


def _pack(context: Context, run: int, key: int) -> int:
    n_packed = 0
    while True:
        place = {"run": run, "key": key}
        with context.database.write() as connection:
            bound = _BOUND.first(connection, {**place, "before": MAX_PACKED - 1})
            last = _LAST_STEP if bound is None else bound[0]
            # What is taken out is what is packed, also when somebody logs at the same time.
            points = sorted(_TAKE.all(connection, {**place, "last": last}))
            parts = (points[begin : begin + MAX_PACKED] for begin in range(0, len(points), MAX_PACKED))
            add_chunks(connection, run, key, [columns_of(part) for part in parts])
        n_packed += len(points)
        if bound is None:
            return n_packed


_LAST_STEP: Final = 2**63 - 1
_LIVE = Prepared(
    sa.select(runs.c.started_at, runs.c.pk)
    .where(runs.c.project_pk == sa.bindparam("project"))
    .where(runs.c.status == RunStatus.RUNNING.value, runs.c.deleted_at.is_(None))
    .where(
        sa.tuple_(runs.c.started_at, runs.c.pk)
        > sa.tuple_(sa.bindparam("started_at", type_=sa.BigInteger), sa.bindparam("pk", type_=sa.BigInteger))
    )
    .order_by(runs.c.started_at, runs.c.pk)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_TAIL = sa.and_(
    metric_points.c.run_pk == metric_latest.c.run_pk, metric_points.c.key_pk == metric_latest.c.key_pk
)
_LONG_TAILS = Prepared(
    lambda dialect: (
        sa.select(metric_latest.c.run_pk, metric_latest.c.key_pk)
        .where(metric_latest.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger())))
        # The row before which there are enough: no more of them are read than that.
        .where(
            sa.select(metric_points.c.step)
            .where(_TAIL)
            .limit(1)
            .offset(sa.bindparam("before", type_=sa.Integer))
            .exists()
        )
    )
)
_TAILS = Prepared(
    sa.select(metric_points.c.run_pk, metric_points.c.key_pk)
    .join(runs, runs.c.pk == metric_points.c.run_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
    .group_by(metric_points.c.run_pk, metric_points.c.key_pk)
    .having(sa.func.count() >= sa.bindparam("least", type_=sa.BigInteger))
)
_OF_METRIC = (
    metric_points.c.run_pk == sa.bindparam("run"),
    metric_points.c.key_pk == sa.bindparam("key"),
)
_BOUND = Prepared(
    sa.select(metric_points.c.step)
    .where(*_OF_METRIC)
    .order_by(*metric_points.primary_key.columns)
    .limit(sa.literal_column("1"))
    .offset(sa.bindparam("before", type_=sa.Integer))
)
_TAKE = Prepared(
    sa.delete(metric_points)
    .where(*_OF_METRIC, metric_points.c.step <= sa.bindparam("last"))
    .returning(metric_points.c.step, metric_points.c.at, metric_points.c.is_nan, metric_points.c.value)
)
