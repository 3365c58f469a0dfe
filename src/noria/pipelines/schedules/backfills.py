"""Backfills: the intervals of a stretch of the past, put on record at once and run a few at a time.

Each interval is a row of its own from the beginning, so that a backfill whose server was killed goes on where it
stood.
"""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Invalid, NotFound
from noria.core.ids import new_id
from noria.pipelines.schedules.entities import MAX_BACKFILL, Backfill, Cause, NewBackfill, RunState
from noria.pipelines.schedules.rows import (
    Held,
    NewRun,
    add_run,
    ask_again,
    end_waiting,
    find_run,
    interval_key,
)
from noria.pipelines.schedules.tables import schedule_backfills, schedule_runs
from noria.pipelines.schedules.timing import Interval, intervals_between, timing_of


class BackfillNotFound(NotFound):
    """The schedule has no backfill of this id."""

    code = "backfill_not_found"

    def __init__(self, name: str, backfill_id: str) -> None:
        super().__init__(
            f"The schedule `{name}` has no backfill `{backfill_id[:100]}`",
            hint=f"See `noria schedules history {name}`",
            details={"schedule": name, "backfill": backfill_id[:100]},
        )


def begin_backfill(connection: sa.Connection, context: Context, held: Held, new: NewBackfill) -> Backfill:
    """Put a backfill on record with all of its runs."""
    intervals = _past(context, held, new)
    row = {
        "id": new_id(),
        "schedule_pk": held.pk,
        "start": new.start,
        "end": new.end,
        "at_once": new.at_once,
        "requested_by": context.principal.name,
        "created_at": context.clock.now(),
    }
    insert = sa.insert(schedule_backfills).values(**row).returning(schedule_backfills.c.pk)
    pk = connection.execute(insert).scalar_one()
    for interval in intervals:
        _add(connection, context, held, pk, interval, again=new.again)
    return load_backfill(connection, held, str(row["id"]))


def end_backfill(connection: sa.Connection, context: Context, held: Held, backfill_id: str) -> Backfill:
    """Cancel the runs of a backfill that wait; those that run go on."""
    load_backfill(connection, held, backfill_id)
    of_it = schedule_backfills.c.id == backfill_id
    connection.execute(
        sa.update(schedule_backfills)
        .where(of_it, schedule_backfills.c.stopped_at.is_(None))
        .values(stopped_at=context.clock.now())
    )
    which = schedule_runs.c.backfill_pk == sa.select(schedule_backfills.c.pk).where(of_it).scalar_subquery()
    end_waiting(connection, context, RunState.CANCELLED, "its backfill was stopped", which)
    return load_backfill(connection, held, backfill_id)


def load_backfill(connection: sa.Connection, held: Held, backfill_id: str) -> Backfill:
    """Read a backfill with the counts of its runs.

    Raises
    ------
    BackfillNotFound
        If the schedule has none of this id.
    """
    of_it = sa.select(schedule_backfills).where(
        schedule_backfills.c.id == backfill_id, schedule_backfills.c.schedule_pk == held.pk
    )
    row = connection.execute(of_it).first()
    if row is None:
        raise BackfillNotFound(held.schedule.name, backfill_id)
    states = sa.select(schedule_runs.c.state, sa.func.count()).where(schedule_runs.c.backfill_pk == row.pk)
    counts = connection.execute(states.group_by(schedule_runs.c.state)).fetchall()
    return Backfill(
        id=row.id,
        schedule=held.schedule.name,
        start=row.start,
        end=row.end,
        at_once=row.at_once,
        requested_by=row.requested_by,
        created_at=row.created_at,
        stopped_at=row.stopped_at,
        counts={state: int(count) for state, count in counts},
    )


def _past(context: Context, held: Held, new: NewBackfill) -> list[Interval]:
    name, spec = held.schedule.name, held.schedule.spec
    if not spec.has_intervals:
        raise Invalid(f"The schedule `{name}` does not run by the clock, and has no intervals")
    end = min(new.end, context.clock.now())
    found = intervals_between(timing_of(spec), new.start, end, limit=MAX_BACKFILL + 1)
    between = f"between `{new.start.isoformat()}` and `{end.isoformat()}`"
    if len(found) > MAX_BACKFILL:
        raise Invalid(
            f"There are more than {MAX_BACKFILL} intervals {between}",
            hint=f"Begin with those up to `{found[MAX_BACKFILL - 1].end.isoformat()}`",
        )
    if not found:
        raise Invalid(
            f"No interval of `{name}` begins and ends {between}", hint="An interval runs once it is over"
        )
    return found


def _add(
    connection: sa.Connection, context: Context, held: Held, pk: int, interval: Interval, *, again: bool
) -> None:
    key = interval_key(interval.start)
    if add_run(connection, context, held.pk, NewRun(key, Cause.BACKFILL, interval, backfill_pk=pk)) is None:
        known = find_run(connection, held, key)
        if known.state.ended and (again or known.state is not RunState.SUCCEEDED):
            ask_again(connection, context, known, cause=Cause.BACKFILL, backfill_pk=pk)
