"""Pack the points of ended runs that came one by one: a third of the space, and read at once."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.database.prepared import Prepared
from noria.core.events.log import EventLog
from noria.tracking.chunks import columns_of
from noria.tracking.events import RUN_FINISHED
from noria.tracking.points import MIN_PACKED, add_chunks
from noria.tracking.tables import metric_points, runs

READER = "tracking.compaction"
"""Name of the cursor on the event log: what ended since it moved is looked at."""

RUNS_AT_ONCE = 100
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


def compact_run(context: Context, run_id: str) -> int:
    """Pack the points of one run, metric by metric where there are enough, and give how many were packed."""
    with context.database.read() as connection:
        tails = _TAILS.all(connection, {"run_id": run_id, "least": MIN_PACKED})
    n_packed = 0
    for run, key in tails:
        with context.database.write() as connection:
            # What is taken out is what is packed, also when somebody logs at the same time.
            points = sorted(_TAKE.all(connection, {"run": run, "key": key}))
            parts = (points[begin : begin + MAX_PACKED] for begin in range(0, len(points), MAX_PACKED))
            add_chunks(connection, run, key, [columns_of(part) for part in parts])
        n_packed += len(points)
    return n_packed


_TAILS = Prepared(
    sa.select(metric_points.c.run_pk, metric_points.c.key_pk)
    .join(runs, runs.c.pk == metric_points.c.run_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
    .group_by(metric_points.c.run_pk, metric_points.c.key_pk)
    .having(sa.func.count() >= sa.bindparam("least", type_=sa.BigInteger))
)
_TAKE = Prepared(
    sa.delete(metric_points)
    .where(metric_points.c.run_pk == sa.bindparam("run"))
    .where(metric_points.c.key_pk == sa.bindparam("key"))
    .returning(metric_points.c.step, metric_points.c.at, metric_points.c.is_nan, metric_points.c.value)
)
