"""Jobs as rows: how they are queued, claimed, tried again and ended.

A claimed job belongs to its worker until the lease is over; every heartbeat renews it. An attempt that ends for a
reason that trying again may mend, or whose worker is lost, goes back to the queue after a pause that doubles.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from noria.access.authentication import drop_narrow_tokens
from noria.access.tables import projects
from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict, ErrorBody, NotFound
from noria.core.events.log import EventType, append
from noria.core.objects.references import drop_owner
from noria.pipelines.events import JOB_FINISHED, JOB_REQUEUED
from noria.pipelines.job_entities import Job, JobSection, JobStatus
from noria.pipelines.tables import job_logs, jobs

LEASE_S = 15.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
FORGET_AFTER = timedelta(hours=1)
_REQUEUED_AT_ONCE = 100
_ADVISORY_KEY = 0x4E4F5249415F4A42
"""That of the places of jobs among the advisory locks of a PostgreSQL: `NORIA_JB` in ASCII."""

_FORGOTTEN_AT_ONCE = 500

_ANY_OVER = Prepared(
    lambda _: (
        sa.select(jobs.c.pk).where(jobs.c.lease_until < sa.bindparam("now")).limit(sa.literal_column("1"))
    )
)


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"

    def __init__(self, project: str, job_id: str) -> None:
        super().__init__(
            f"The project `{project}` has no job `{job_id}`",
            hint="See `noria jobs list`",
            details={"project": project, "job_id": job_id},
        )


class LeaseLost(Conflict):
    """The attempt is not the worker's any more: its lease was over, or the job has ended."""

    code = "lease_lost"

    def __init__(self, job: Job, worker: str, attempt: int) -> None:
        super().__init__(
            f"The attempt {attempt} of job `{job.id}` does not belong to the worker `{worker}` any more: "
            f"the job is {job.status}, at attempt {job.attempt}",
            hint="Drop the attempt; its result is not wanted",
            details={"job_id": job.id, "status": str(job.status), "attempt": job.attempt},
        )


@functools.cache
def select_jobs() -> sa.Select[Any]:
    """Give the query of all jobs."""
    return sa.select(
        jobs.c.id,
        projects.c.name.label("project"),
        jobs.c.entry,
        jobs.c.args,
        jobs.c.snapshot,
        jobs.c.status,
        jobs.c.attempt,
        jobs.c.max_attempts,
        jobs.c.timeout_s,
        jobs.c.lease_until,
        jobs.c.claimed_by,
        jobs.c.result,
        jobs.c.error,
        jobs.c.created_at,
        jobs.c.not_before,
        jobs.c.started_at,
        jobs.c.ended_at,
        jobs.c.key,
        jobs.c.submitted_by,
        jobs.c.cancel_requested,
        jobs.c.routine,
        jobs.c.queue,
    ).join(projects, projects.c.pk == jobs.c.project_pk)


def load_job(connection: sa.Connection, project: str, job_id: str) -> Job:
    """Read one job.

    Raises
    ------
    JobNotFound
        If there is none of this id in the project.
    """
    query = select_jobs().where(jobs.c.id == job_id).where(projects.c.name == project)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise JobNotFound(project, job_id)
    return to_job(row)


def to_job(row: Any) -> Job:
    """Make a job of its row."""
    return Job(**{**row, "status": JobStatus(row["status"])})


def full_projects(connection: sa.Connection, limits: JobSection, *, lock: bool = False) -> list[str]:
    """Give the projects that have as many jobs running as they may; routine work does not count.

    Parameters
    ----------
    lock
        Have others that want to begin a job wait until this transaction ends, so that two do not both take the last
        place.
    """
    if limits.at_once is None and not limits.projects:
        return []
    if lock and connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
    query = (
        sa.select(projects.c.name, sa.func.count())
        .select_from(jobs)
        .join(projects, projects.c.pk == jobs.c.project_pk)
        .where(jobs.c.status == str(JobStatus.RUNNING), jobs.c.routine.is_(False))
        .group_by(projects.c.name)
    )
    running = {name: int(count) for name, count in connection.execute(query)}
    held_back = {name: 0 for name, limit in limits.projects.items() if limit == 0}
    counts = (held_back | running).items()
    return [name for name, count in counts if (limit := limits.limit_of(name)) is not None and count >= limit]


def require_lease(job: Job, worker: str, attempt: int) -> None:
    """Refuse a word about an attempt that is not the worker's.

    Raises
    ------
    LeaseLost
        If the job is not running, or by another worker, or in another attempt.
    """
    if job.status is not JobStatus.RUNNING or (job.claimed_by, job.attempt) != (worker, attempt):
        raise LeaseLost(job, worker, attempt)


def pause_s(attempt: int) -> float:
    """Give the pause after an attempt, in seconds.

    Examples
    --------
    >>> [pause_s(attempt) for attempt in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 60.0]
    """
    return min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 30), LONGEST_PAUSE_S)


def end_attempt(
    connection: sa.Connection,
    context: Context,
    job: Job,
    status: JobStatus,
    *,
    result: Any | None = None,
    error: ErrorBody | None = None,
    retry: bool = False,
) -> None:
    """End a running attempt: the job goes back to the queue when that may help and attempts are left, else it ends."""
    drop_narrow_tokens(connection, token_name(job.id))
    if status is JobStatus.FAILED and job.cancel_requested:
        status, retry = JobStatus.CANCELLED, False
    if retry and status is JobStatus.FAILED and job.attempt < job.max_attempts:
        _requeue(connection, context, job, error)
        return
    values = {
        "status": str(status),
        "result": result,
        "error": error,
        "lease_until": None,
        "ended_at": context.clock.now(),
    }
    _update_attempt(connection, job, values)
    append_event(connection, context, JOB_FINISHED, job, {"status": str(status), "attempt": job.attempt})


def forget_routine(context: Context) -> int:
    """Delete routine jobs that ended more than an hour ago; give how many."""
    before = context.clock.now() - FORGET_AFTER
    old = (
        sa.select(jobs.c.pk)
        .where(jobs.c.routine.is_(True))
        .where(jobs.c.ended_at < before)
        .limit(_FORGOTTEN_AT_ONCE)
    )
    with context.database.read() as connection:
        keys = list(connection.execute(old).scalars())
    if keys:
        with context.database.write() as connection:
            connection.execute(sa.delete(job_logs).where(job_logs.c.job_pk.in_(keys)))
            connection.execute(sa.delete(jobs).where(jobs.c.pk.in_(keys)))
    return len(keys)


def delete_jobs(connection: sa.Connection, keys: Sequence[tuple[int, str]]) -> None:
    """Delete jobs that have ended, with their logs and what they kept of the object store.

    Parameters
    ----------
    keys
        Project and key of each.
    """
    of_them = sa.and_(
        jobs.c.project_pk.in_({project for project, _ in keys}),
        jobs.c.key.in_([key for _, key in keys]),
        jobs.c.ended_at.is_not(None),
    )
    found = connection.execute(sa.select(jobs.c.pk, jobs.c.id).where(of_them)).fetchall()
    pks = [row.pk for row in found]
    connection.execute(sa.delete(job_logs).where(job_logs.c.job_pk.in_(pks)))
    connection.execute(sa.delete(jobs).where(jobs.c.pk.in_(pks)))
    for row in found:
        drop_owner(connection, f"job:{row.id}")


def _requeue(connection: sa.Connection, context: Context, job: Job, error: ErrorBody | None) -> None:
    values = {
        "status": str(JobStatus.QUEUED),
        "error": error,
        "lease_until": None,
        "claimed_by": None,
        "not_before": context.clock.now() + timedelta(seconds=pause_s(job.attempt)),
    }
    _update_attempt(connection, job, values)
    why = error.message if error else None
    append_event(connection, context, JOB_REQUEUED, job, {"attempt": job.attempt, "error": why})


def _update_attempt(connection: sa.Connection, job: Job, values: dict[str, Any]) -> None:
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.id == job.id)
        .where(jobs.c.status == str(JobStatus.RUNNING))
        .where(jobs.c.attempt == job.attempt)
        .values(**values)
    )


def requeue_expired(context: Context) -> int:
    """Take up the jobs whose workers were lost, and count them. Safe to repeat, and from several processes at once."""
    now = context.clock.now()
    query = select_jobs().where(jobs.c.lease_until < now).limit(_REQUEUED_AT_ONCE)
    with context.database.read() as connection:
        # Asked every other second, and nearly never is there one.
        if _ANY_OVER.first(connection, {"now": to_micros(now)}) is None:
            return 0
        expired = [to_job(row) for row in connection.execute(query).mappings()]
    for job in expired:
        with context.database.write() as connection:
            again = load_job(connection, job.project, job.id)
            if again.attempt == job.attempt and _is_over(again, now):
                error = ErrorBody(
                    code="worker_lost", message=f"The worker `{job.claimed_by}` gave no sign of life"
                )
                end_attempt(connection, context, again, JobStatus.FAILED, error=error, retry=True)
    return len(expired)


def _is_over(job: Job, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until < now


def token_name(job_id: str) -> str:
    """Give the name under which the process of a job acts."""
    return f"worker:{job_id}"


def lease_from(now: datetime) -> datetime:
    """Give the end of a lease that begins now."""
    return now + timedelta(seconds=LEASE_S)


def append_event(
    connection: sa.Connection, context: Context, kind: EventType, job: Job, payload: dict[str, Any]
) -> None:
    """Append an event of a job; of routine work only its failure is one."""
    if job.routine and payload.get("status") != str(JobStatus.FAILED):
        return
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=f"job:{job.id}",
        project=job.project,
        payload=payload,
    )
