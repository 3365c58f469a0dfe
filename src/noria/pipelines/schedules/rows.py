"""Schedules and their runs as rows; every move of a run is a compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.errors import NotFound, near
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.pipelines.schedules.entities import (
    MOVES,
    Cause,
    RunState,
    Schedule,
    ScheduleRun,
    ScheduleStatus,
)
from noria.pipelines.schedules.tables import schedule_backfills, schedule_runs, schedules
from noria.pipelines.schedules.timing import Interval

OPEN = (str(RunState.WAITING), str(RunState.RUNNING))

_SELECT_SCHEDULE = sa.select(
    schedules.c.id,
    projects.c.name.label("project"),
    schedules.c.name,
    schedules.c.spec,
    schedules.c.snapshot,
    schedules.c.status,
    schedules.c.applied_by,
    schedules.c.applied_at,
    schedules.c.next_start,
    schedules.c.next_due,
    schedules.c.failing_since,
    schedules.c.n_failures,
    schedules.c.revision,
    schedules.c.newest,
    schedules.c.pin,
).join(projects, projects.c.pk == schedules.c.project_pk)

_SELECT_RUN = (
    sa.select(
        schedule_runs.c.id,
        schedules.c.name.label("schedule"),
        schedule_runs.c.key,
        schedule_runs.c.cause,
        schedule_runs.c.state,
        schedule_runs.c.attempt,
        schedule_runs.c.interval_start,
        schedule_runs.c.interval_end,
        schedule_runs.c.job_id,
        schedule_runs.c.revision,
        schedule_runs.c.run_id,
        schedule_backfills.c.id.label("backfill"),
        schedule_runs.c.reason,
        schedule_runs.c.details,
        schedule_runs.c.created_at,
        schedule_runs.c.started_at,
        schedule_runs.c.ended_at,
    )
    .join(schedules, schedules.c.pk == schedule_runs.c.schedule_pk)
    .outerjoin(schedule_backfills, schedule_backfills.c.pk == schedule_runs.c.backfill_pk)
)


class ScheduleNotFound(NotFound):
    """No schedule has this name."""

    code = "schedule_not_found"

    def __init__(self, project: str, name: str, known: Sequence[str] = ()) -> None:
        close = near(name, known)
        super().__init__(
            f"The project `{project}` has no schedule `{name[:100]}`",
            hint=f"Did you mean `{close}`?" if close else "See `noria schedules list`",
            details={"project": project, "schedule": name[:100]},
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A schedule with what only the house knows of it."""

    pk: int
    role: str
    salt: str
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to put on record.

    Attributes
    ----------
    why_not
        Why it is skipped; None where it is not.
    """

    key: str
    cause: Cause
    interval: Interval | None = None
    details: dict[str, Any] | None = None
    why_not: str | None = None
    backfill_pk: int | None = None


def interval_key(start: datetime) -> str:
    """Give the key of the run of an interval."""
    return start.isoformat()


def select_schedules() -> sa.Select[Any]:
    """Select what a `Schedule` is made of."""
    return _SELECT_SCHEDULE


def select_runs() -> sa.Select[Any]:
    """Select what a `ScheduleRun` is made of."""
    return _SELECT_RUN


def hold(connection: sa.Connection, *conditions: sa.ColumnElement[bool], lock: bool = False) -> list[Held]:
    """Read schedules, by name.

    Parameters
    ----------
    lock
        Whether nobody else may change them until the transaction ends.
    """
    columns = (schedules.c.pk, schedules.c.role, schedules.c.salt)
    query = _SELECT_SCHEDULE.add_columns(*columns).where(*conditions).order_by(schedules.c.name)
    if lock:
        query = query.with_for_update(of=schedules)
    return [_held(dict(row)) for row in connection.execute(query).mappings()]


def hold_named(connection: sa.Connection, project: str, name: str, *, lock: bool = False) -> Held:
    """Read one schedule that was not removed; `lock` as for `hold`.

    Raises
    ------
    ScheduleNotFound
        With the near name.
    """
    is_there = schedules.c.status != str(ScheduleStatus.REMOVED)
    found = hold(connection, projects.c.name == project, schedules.c.name == name, is_there, lock=lock)
    if not found:
        known = [held.schedule.name for held in hold(connection, projects.c.name == project, is_there)]
        raise ScheduleNotFound(project, name, known)
    return found[0]


def change(connection: sa.Connection, held: Held, **values: Any) -> None:
    """Write columns of a schedule."""
    connection.execute(sa.update(schedules).where(schedules.c.pk == held.pk).values(**values))


def to_run(row: Any) -> ScheduleRun:
    """Make a run of its row."""
    return ScheduleRun(**{**row, "cause": Cause(row["cause"]), "state": RunState(row["state"])})


def find_run(connection: sa.Connection, held: Held, key: str) -> ScheduleRun:
    """Read the run of a key, which there is."""
    query = _SELECT_RUN.where(schedule_runs.c.schedule_pk == held.pk, schedule_runs.c.key == key)
    return to_run(connection.execute(query).mappings().one())


def add_run(connection: sa.Connection, context: Context, schedule_pk: int, new: NewRun) -> str | None:
    """Put a run on record, and give its id; None where there is one of its key."""
    now = context.clock.now()
    interval = new.interval
    values = {
        "id": new_id(),
        "schedule_pk": schedule_pk,
        "key": new.key,
        "cause": str(new.cause),
        "state": str(RunState.SKIPPED if new.why_not else RunState.WAITING),
        "attempt": 1,
        "interval_start": interval and interval.start,
        "interval_end": interval and interval.end,
        "backfill_pk": new.backfill_pk,
        "reason": new.why_not,
        "details": new.details or {},
        "created_at": now,
        "ended_at": now if new.why_not else None,
    }
    insert = context.database.insert(schedule_runs).values(**values)
    once = insert.on_conflict_do_nothing(index_elements=["schedule_pk", "key"]).returning(schedule_runs.c.id)
    found = connection.execute(once).first()
    return None if found is None else str(found[0])


def move(connection: sa.Connection, run_id: str, before: RunState, after: RunState, /, **values: Any) -> bool:
    """Move a run from one state to another; False where it was not in the first any more."""
    assert after in MOVES[before]  # noqa: S101 - the table of moves is the law
    changed = connection.execute(
        sa.update(schedule_runs)
        .where(schedule_runs.c.id == run_id, schedule_runs.c.state == str(before))
        .values(state=str(after), **values)
    )
    return changed.rowcount == 1


def ask_again(
    connection: sa.Connection,
    context: Context,
    run: ScheduleRun,
    *,
    cause: Cause,
    backfill_pk: int | None = None,
) -> bool:
    """Have a run that has ended wait once more, as its next attempt; False where it has not ended."""
    if not run.state.ended:
        return False
    return move(
        connection,
        run.id,
        run.state,
        RunState.WAITING,
        cause=str(cause),
        attempt=run.attempt + 1,
        job_id=None,
        revision=None,
        run_id=None,
        reason=None,
        backfill_pk=backfill_pk,
        created_at=context.clock.now(),
        started_at=None,
        ended_at=None,
    )


def end_waiting(
    connection: sa.Connection, context: Context, after: RunState, reason: str, *which: sa.ColumnElement[bool]
) -> int:
    """End the runs that wait, out of some; give how many."""
    changed = connection.execute(
        sa.update(schedule_runs)
        .where(schedule_runs.c.state == str(RunState.WAITING), *which)
        .values(state=str(after), reason=reason, ended_at=context.clock.now())
    )
    return changed.rowcount


def tell(
    connection: sa.Connection, context: Context, kind: EventType, held: Held, payload: dict[str, Any]
) -> None:
    """Append an event of a schedule."""
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=f"schedule:{held.schedule.name}",
        project=held.schedule.project,
        payload=payload,
    )


def _held(row: dict[str, Any]) -> Held:
    pk, role, salt = row.pop("pk"), row.pop("role"), row.pop("salt")
    return Held(pk, role, salt, Schedule(**{**row, "status": ScheduleStatus(row["status"])}))
