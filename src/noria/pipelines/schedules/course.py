"""How the runs of schedules go from the clock to their end.

Called again and again by the control loop. Everything stands in rows: an interval is one row under the key of its
start, a run's job has a key of its own, and each move is a compare-and-set. So a killed server repeats nothing, and
two servers that look at the same time do no more than one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from noria.access.authentication import principal_of_name
from noria.core.context import Context
from noria.core.database.prepared import Prepared
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict, NoriaError
from noria.core.permissions import Principal, Role
from noria.pipelines.job_entities import Job, JobStatus
from noria.pipelines.job_rows import delete_jobs
from noria.pipelines.jobs import Jobs
from noria.pipelines.jobs_entry import pipeline_job
from noria.pipelines.permissions import SUBMIT_JOBS
from noria.pipelines.schedules.entities import (
    MAX_AT_ONCE,
    MAX_WAITING,
    Cause,
    Overlap,
    RunState,
    ScheduleRun,
    ScheduleStatus,
)
from noria.pipelines.schedules.events import SCHEDULE_FAILED, SCHEDULE_SUCCEEDED
from noria.pipelines.schedules.notices import note
from noria.pipelines.schedules.planning import filled_params, plan
from noria.pipelines.schedules.rows import (
    OPEN,
    Held,
    NewRun,
    add_run,
    end_waiting,
    hold,
    interval_key,
    move,
    select_runs,
    tell,
    to_run,
)
from noria.pipelines.schedules.tables import schedule_backfills, schedule_notices, schedule_runs, schedules
from noria.pipelines.schedules.timing import timing_of

KEPT = timedelta(days=90)
_FORGOTTEN_AT_ONCE = 100
_AFTER_JOB = {
    JobStatus.SUCCEEDED: RunState.SUCCEEDED,
    JobStatus.FAILED: RunState.FAILED,
    JobStatus.CANCELLED: RunState.CANCELLED,
}
_REGULAR = schedule_runs.c.backfill_pk.is_(None)

_log = logging.getLogger("noria.schedules")

# Asked every other moment: an interval is over, or the clock was set back behind the one that comes next.
_DUE = Prepared(
    sa.select(schedules.c.pk)
    .where(schedules.c.status == sa.literal_column("'active'"))
    .where(
        sa.or_(
            schedules.c.next_due <= sa.bindparam("now", type_=sa.BigInteger),
            schedules.c.next_start > sa.bindparam("now", type_=sa.BigInteger),
        )
    )
)
_WITH_OPEN_RUNS = Prepared(
    sa.select(schedule_runs.c.schedule_pk)
    .where(schedule_runs.c.state.in_([sa.literal_column(f"'{state}'") for state in OPEN]))
    .distinct()
)


def look(context: Context) -> None:
    """Settle what has ended, plan what is due, and begin what may."""
    now = to_micros(context.clock.now())
    with context.database.read() as connection:
        open_before = [row[0] for row in _WITH_OPEN_RUNS.all(connection, {})]
        due = [row[0] for row in _DUE.all(connection, {"now": now})]
    _each(context, open_before, _settle_all)
    _each(context, due, plan_due)
    if not (due or open_before):
        return
    with context.database.read() as connection:
        waiting = [row[0] for row in _WITH_OPEN_RUNS.all(connection, {})]
    _each(context, waiting, _begin_all)


def _each(
    context: Context, schedule_pks: Iterable[int], bring_forward: Callable[[Context, int], None]
) -> None:
    """Do something to several schedules; what goes wrong with one keeps no other from it."""
    for pk in schedule_pks:
        try:
            bring_forward(context, pk)
        except NoriaError as error:
            told = {"schedule_pk": pk, "doing": bring_forward.__name__, "error": error.message}
            _log.warning("schedule.postponed", extra=told)


def plan_due(context: Context, schedule_pk: int) -> None:
    """Put the intervals of a schedule that have ended on record, each once, and move on to the next one."""
    with context.database.write() as connection:
        found = hold(
            connection, schedules.c.pk == schedule_pk, schedules.c.status == str(ScheduleStatus.ACTIVE)
        )
        if not found or found[0].schedule.next_start is None:
            return
        held, start = found[0], found[0].schedule.next_start
        spec = held.schedule.spec
        decided = plan(timing_of(spec), start, context.clock.now(), catchup=spec.catchup)
        moved = connection.execute(
            sa.update(schedules)
            .where(schedules.c.pk == schedule_pk, schedules.c.next_start == start)
            .values(next_start=decided.next.start, next_due=decided.next.end)
        )
        if moved.rowcount != 1:
            return
        if decided.missed is not None:
            key = f"missed:{interval_key(decided.missed.start)}"
            reason = "no server looked at it in time, and `catchup` leaves it out"
            add_run(
                connection, context, schedule_pk, NewRun(key, Cause.MISSED, decided.missed, why_not=reason)
            )
        due = [NewRun(interval_key(found.start), Cause.INTERVAL, found) for found in decided.due]
        add_regular(connection, context, held, due)


def add_regular(connection: sa.Connection, context: Context, held: Held, new: Sequence[NewRun]) -> None:
    """Put runs on record that came up together, skipped where the overlap policy says so."""
    counts = _open_counts(connection, held.pk)
    n_open, n_waiting = sum(counts.values()), counts.get(str(RunState.WAITING), 0)
    overlap = held.schedule.spec.overlap
    for index, run in enumerate(new):
        why_not = run.why_not
        if overlap is Overlap.SKIP and n_open:
            why_not = "the run before it had not ended"
        elif overlap is Overlap.CANCEL and index < len(new) - 1:
            why_not = "a newer one came up"
        elif n_waiting + index >= MAX_WAITING:
            why_not = f"{MAX_WAITING} runs wait already"
        if overlap is Overlap.CANCEL and why_not is None:
            which = (schedule_runs.c.schedule_pk == held.pk, _REGULAR)
            end_waiting(connection, context, RunState.SKIPPED, "a newer one came up", *which)
        add_run(
            connection,
            context,
            held.pk,
            NewRun(run.key, run.cause, run.interval, run.details, why_not, run.backfill_pk),
        )


def forget(context: Context) -> int:
    """Delete runs that ended long ago, with their notices, jobs and logs; give how many."""
    old = (
        sa.select(schedule_runs.c.pk, schedule_runs.c.id, schedule_runs.c.attempt, schedules.c.project_pk)
        .join(schedules, schedules.c.pk == schedule_runs.c.schedule_pk)
        .where(schedule_runs.c.ended_at < context.clock.now() - KEPT)
        .limit(_FORGOTTEN_AT_ONCE)
    )
    with context.database.read() as connection:
        found = connection.execute(old).fetchall()
    if found:
        pks = [row.pk for row in found]
        keys = [(row.project_pk, job_key(row.id, n + 1)) for row in found for n in range(row.attempt)]
        with context.database.write() as connection:
            connection.execute(sa.delete(schedule_notices).where(schedule_notices.c.run_pk.in_(pks)))
            connection.execute(sa.delete(schedule_runs).where(schedule_runs.c.pk.in_(pks)))
            delete_jobs(connection, keys)
    return len(found)


def job_key(run_id: str, attempt: int) -> str:
    """Give the key of the job of a run's attempt, by which it is made once."""
    return f"schedule:{run_id}:{attempt}"


def _open_counts(connection: sa.Connection, schedule_pk: int) -> dict[str, int]:
    query = (
        sa.select(schedule_runs.c.state, sa.func.count())
        .where(schedule_runs.c.schedule_pk == schedule_pk, schedule_runs.c.state.in_(OPEN), _REGULAR)
        .group_by(schedule_runs.c.state)
    )
    return {str(state): int(count) for state, count in connection.execute(query)}


def _open_runs(context: Context, schedule_pk: int, state: RunState) -> tuple[Held, list[ScheduleRun]]:
    query = (
        select_runs()
        .where(schedule_runs.c.schedule_pk == schedule_pk, schedule_runs.c.state == str(state))
        .order_by(schedule_runs.c.pk)
    )
    with context.database.read() as connection:
        (held,) = hold(connection, schedules.c.pk == schedule_pk)
        return held, [to_run(row) for row in connection.execute(query).mappings()]


def _settle_all(context: Context, schedule_pk: int) -> None:
    held, running = _open_runs(context, schedule_pk, RunState.RUNNING)
    for run in running:
        job = context.service(Jobs).get(held.schedule.project, run.job_id or "")
        if job.status.ended:
            _settle(context, schedule_pk, run, _AFTER_JOB[job.status], job)


def _settle(
    context: Context, schedule_pk: int, run: ScheduleRun, state: RunState, job: Job | None, why: str = ""
) -> None:
    """Record how a run ended, and what people are told of it, in one transaction."""
    now = context.clock.now()
    reason = job.error.message if job and job.error and state is not RunState.SUCCEEDED else why or None
    values: dict[str, Any] = {"ended_at": (job.ended_at if job else None) or now, "reason": reason}
    if job and job.started_at:
        values["started_at"] = job.started_at
    if job and isinstance(job.result, dict):
        values["run_id"] = job.result.get("run_id")
    with context.database.write() as connection:
        if not move(connection, run.id, run.state, state, **values):
            return
        if run.backfill is not None or state is RunState.CANCELLED:
            return
        (held,) = hold(connection, schedules.c.pk == schedule_pk)
        _count(connection, held, state, values["ended_at"])
        kind = SCHEDULE_SUCCEEDED if state is RunState.SUCCEEDED else SCHEDULE_FAILED
        note(connection, context, held, run, state=state, job=job, reason=reason)
        told = {"run": run.id, "key": run.key, "job": run.job_id, "reason": reason}
        tell(connection, context, kind, held, told)


def _count(connection: sa.Connection, held: Held, state: RunState, at: datetime) -> None:
    """Keep since when a schedule fails."""
    of_it = sa.update(schedules).where(schedules.c.pk == held.pk)
    if state is RunState.SUCCEEDED:
        connection.execute(of_it.values(failing_since=None, n_failures=0))
        return
    since = held.schedule.failing_since or at
    connection.execute(of_it.values(failing_since=since, n_failures=schedules.c.n_failures + 1))


def _begin_all(context: Context, schedule_pk: int) -> None:
    held, waiting = _open_runs(context, schedule_pk, RunState.WAITING)
    if not waiting:
        return
    _, running = _open_runs(context, schedule_pk, RunState.RUNNING)
    overlap = held.schedule.spec.overlap
    regular = [run for run in running if run.backfill is None]
    room = (MAX_AT_ONCE if overlap is Overlap.ALLOW else 1) - len(regular)
    ready = [run for run in waiting if run.backfill is None and _may_begin(held, run)]
    if ready and room <= 0 and overlap is Overlap.CANCEL:
        _cancel_jobs(context, held, regular)
    for run in ready[: max(0, room)]:
        _begin(context, held, run)
    for backfill in dict.fromkeys(run.backfill for run in waiting if run.backfill is not None):
        mine = [run for run in waiting if run.backfill == backfill]
        left = _at_once(context, backfill) - sum(run.backfill == backfill for run in running)
        for run in mine[: max(0, left)]:
            _begin(context, held, run)


def _may_begin(held: Held, run: ScheduleRun) -> bool:
    return held.schedule.status is ScheduleStatus.ACTIVE or run.cause is Cause.MANUAL


def _at_once(context: Context, backfill: str) -> int:
    query = sa.select(schedule_backfills.c.at_once).where(schedule_backfills.c.id == backfill)
    with context.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def _cancel_jobs(context: Context, held: Held, runs: Iterable[ScheduleRun]) -> None:
    jobs = context.service(Jobs)
    for run in runs:
        project, job_id = held.schedule.project, run.job_id or ""
        if jobs.get(project, job_id).cancel_requested:
            continue
        try:
            jobs.cancel(project, job_id)
        except Conflict:  # it ended a moment ago, and is settled at the next look
            _log.debug("schedule.ended_before_cancel", extra={"job": job_id})


def _begin(context: Context, held: Held, run: ScheduleRun) -> None:
    """Give a run its job. A kill between the two leads to the same job again, by its key."""
    schedule = held.schedule
    owner = _owner(context, held)
    if owner is None:
        why = f"`{schedule.applied_by}`, who applied the schedule, may not submit jobs here any more"
        _settle(context, held.pk, run, RunState.FAILED, None, why)
        return
    spec = schedule.spec
    try:
        params = filled_params(spec, start=run.interval_start, end=run.interval_end, details=run.details)
        new = pipeline_job(
            spec.run,
            params,
            snapshot=schedule.snapshot,
            key=job_key(run.id, run.attempt),
            max_attempts=spec.attempts,
            timeout_s=spec.timeout_s,
            queue=spec.queue,
        )
        job = context.acting_as(owner).service(Jobs).submit(schedule.project, new)
    except NoriaError as error:
        if error.retryable:
            raise
        _settle(context, held.pk, run, RunState.FAILED, None, error.message)
        return
    with context.database.write() as connection:
        move(
            connection,
            run.id,
            RunState.WAITING,
            RunState.RUNNING,
            job_id=job.id,
            revision=schedule.revision,
            started_at=context.clock.now(),
        )


def _owner(context: Context, held: Held) -> Principal | None:
    """Give who applied a schedule, with today's rights but no more than those of that day; None if they have none."""
    project = held.schedule.project
    with context.database.read() as connection:
        today = principal_of_name(connection, context.clock, held.schedule.applied_by)
    if today is None or not today.may(SUBMIT_JOBS, project):
        return None
    role = min(today.role_in(project) or Role.VIEWER, Role(held.role), key=lambda known: known.rank)
    return Principal(name=today.name, project_roles={project: role}, holds_key=True)
