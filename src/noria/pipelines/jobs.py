"""Operations on jobs: submit and watch them, and for workers claim, report and end them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from noria.access.authentication import issue_narrow_token
from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.errors import Conflict, Forbidden, Invalid
from noria.core.ids import new_id
from noria.core.objects.references import add_reference
from noria.core.operations import Service, operation
from noria.core.permissions import Role
from noria.pipelines.events import JOB_FINISHED, JOB_STARTED, JOB_SUBMITTED
from noria.pipelines.job_entities import (
    MAX_LINE_CHARS,
    MAX_LINES_AT_ONCE,
    MAX_TIMEOUT_S,
    Beat,
    Claim,
    ClaimedJob,
    Job,
    JobLogPage,
    JobPage,
    JobSection,
    JobStatus,
    LogLine,
    LogLines,
    NewJob,
    Orders,
    Outcome,
    WorkerInfo,
)
from noria.pipelines.job_rows import (
    LEASE_S,
    append_event,
    end_attempt,
    full_projects,
    lease_from,
    load_job,
    require_lease,
    select_jobs,
    to_job,
    token_name,
)
from noria.pipelines.permissions import PERMISSIONS_OF_JOBS, READ_JOBS, SUBMIT_JOBS, WORK
from noria.pipelines.tables import job_logs, jobs

MAX_PAGE = 1000
MAX_ATTEMPTS = 100
MAX_LINES = 50_000
"""Lines that are kept of one job; what comes after them is dropped."""

_ENTRY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_QUEUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TOKEN_MARGIN_S = 60.0
_STRONGEST = Role.ENGINEER


class Jobs(Service):
    """Work that workers do for the workspace."""

    @operation("POST", "/projects/{project}/jobs", needs=SUBMIT_JOBS)
    def submit(self, project: str, new: NewJob) -> Job:
        """Queue a job. A second one with the same key gives the first."""
        _check_new(new)
        self._check_permissions(new)
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            made = self._insert(connection, project, owner, new)
            if made is None:
                query = select_jobs().where(jobs.c.project_pk == owner).where(jobs.c.key == new.key)
                return to_job(connection.execute(query).mappings().one())
            if new.snapshot is not None:
                add_reference(
                    connection,
                    self.context.clock,
                    project=project,
                    digest=new.snapshot,
                    owner=f"job:{made.id}",
                )
            append_event(connection, self.context, JOB_SUBMITTED, made, {"entry": made.entry})
        return made

    @operation("GET", "/projects/{project}/jobs/{job_id}", needs=READ_JOBS)
    def get(self, project: str, job_id: str) -> Job:
        """Get one job."""
        with self.context.database.read() as connection:
            return load_job(connection, project, job_id)

    @operation("GET", "/projects/{project}/jobs", needs=READ_JOBS)
    def list(
        self, project: str, status: JobStatus | None = None, limit: int = 50, before: str | None = None
    ) -> JobPage:
        """List jobs, newest first, from the one that follows the job `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = select_jobs().where(jobs.c.project_pk == owner).order_by(jobs.c.pk.desc())
            if status is not None:
                query = query.where(jobs.c.status == str(status))
            if before is not None:
                load_job(connection, project, before)
                last = sa.select(jobs.c.pk).where(jobs.c.id == before).scalar_subquery()
                query = query.where(jobs.c.pk < last)
            rows = connection.execute(query.limit(bound + 1)).mappings().all()
        items = [to_job(row) for row in rows[:bound]]
        return JobPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("POST", "/projects/{project}/jobs/{job_id}/cancel", needs=SUBMIT_JOBS, status=200)
    def cancel(self, project: str, job_id: str) -> Job:
        """Cancel a job: at once when it is queued, as soon as its worker has ended it when it runs."""
        with self.context.database.write() as connection:
            job = load_job(connection, project, job_id)
            if job.status.ended:
                raise Conflict(f"The job `{job_id}` has ended already: it is {job.status}")
            values: dict[str, Any] = {"cancel_requested": True}
            if job.status is JobStatus.QUEUED:
                values |= {"status": str(JobStatus.CANCELLED), "ended_at": self.context.clock.now()}
                payload = {"status": str(JobStatus.CANCELLED), "attempt": job.attempt}
                append_event(connection, self.context, JOB_FINISHED, job, payload)
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))
            return load_job(connection, project, job_id)

    @operation("POST", "/jobs/claim", needs=WORK, status=200)
    def claim(self, worker: WorkerInfo) -> Claim:
        """Take the oldest job that is due, with a token for its process."""
        now = self.context.clock.now()
        limits = self.context.settings.section("jobs", JobSection)
        with self.context.database.read() as connection:
            # Idle workers ask often; only a worker that will get something takes the writer's place.
            full = full_projects(connection, limits)
            if connection.execute(_due(now, worker, full)).first() is None:
                return Claim()
        with self.context.database.write() as connection:
            full = full_projects(connection, limits, lock=True)
            due = _due(now, worker, full).with_for_update(skip_locked=True, of=jobs)
            picked = connection.execute(due).one_or_none()
            if picked is None:
                return Claim()
            key, job_id, project = picked
            self._begin(connection, key, worker.name, now)
            job = load_job(connection, project, job_id)
            token = self._issue_token(connection, job)
            append_event(connection, self.context, JOB_STARTED, job, {"attempt": job.attempt})
        return Claim(claimed=ClaimedJob(job=job, token=token, lease_s=LEASE_S))

    @operation("POST", "/projects/{project}/jobs/{job_id}/heartbeat", needs=WORK, status=200)
    def heartbeat(self, project: str, job_id: str, beat: Beat) -> Orders:
        """Renew the lease of an attempt, and learn whether it shall go on."""
        with self.context.database.write() as connection:
            job = load_job(connection, project, job_id)
            require_lease(job, beat.worker, beat.attempt)
            lease = lease_from(self.context.clock.now())
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(lease_until=lease))
        return Orders(cancel=job.cancel_requested)

    @operation("POST", "/projects/{project}/jobs/{job_id}/finish", needs=WORK, status=200)
    def finish(self, project: str, job_id: str, outcome: Outcome) -> Job:
        """End an attempt: the job ends, or goes back to the queue when trying again may help."""
        if not outcome.status.ended:
            raise Invalid(f"An attempt cannot end as `{outcome.status}`")
        with self.context.database.write() as connection:
            job = load_job(connection, project, job_id)
            if _was_told(job, outcome):
                return job
            require_lease(job, outcome.worker, outcome.attempt)
            end_attempt(
                connection,
                self.context,
                job,
                outcome.status,
                result=outcome.result,
                error=outcome.error,
                retry=outcome.retry,
            )
            return load_job(connection, project, job_id)

    @operation("POST", "/projects/{project}/jobs/{job_id}/log", needs=WORK, status=204)
    def log(self, project: str, job_id: str, lines: LogLines) -> None:
        """Keep lines that an attempt wrote."""
        if len(lines.lines) > MAX_LINES_AT_ONCE:
            raise Invalid(f"{len(lines.lines)} lines are more than the {MAX_LINES_AT_ONCE} taken at once")
        with self.context.database.write() as connection:
            job = load_job(connection, project, job_id)
            require_lease(job, lines.worker, lines.attempt)
            key = connection.execute(sa.select(jobs.c.pk).where(jobs.c.id == job_id)).scalar_one()
            last = sa.select(sa.func.coalesce(sa.func.max(job_logs.c.line), 0))
            first = connection.execute(last.where(job_logs.c.job_pk == key)).scalar_one() + 1
            kept = lines.lines[: max(0, MAX_LINES + 1 - first)]
            rows = [_log_row(key, first + index, line) for index, line in enumerate(kept)]
            if rows:
                connection.execute(sa.insert(job_logs), rows)

    @operation("GET", "/projects/{project}/jobs/{job_id}/logs", needs=READ_JOBS)
    def logs(self, project: str, job_id: str, after: int = 0, limit: int = 500) -> JobLogPage:
        """Read what a job wrote, from the line that follows `after`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            load_job(connection, project, job_id)
            query = (
                sa.select(job_logs.c.line, job_logs.c.at, job_logs.c.stream, job_logs.c.text)
                .join(jobs, jobs.c.pk == job_logs.c.job_pk)
                .where(jobs.c.id == job_id)
                .where(job_logs.c.line > after)
                .order_by(job_logs.c.line)
                .limit(bound)
            )
            rows = connection.execute(query).all()
        items = [LogLine(at=at, stream=stream, text=text) for _, at, stream, text in rows]
        return JobLogPage(items=items, next=rows[-1][0] if rows else after)

    def _check_permissions(self, new: NewJob) -> None:
        only = self.context.principal.only
        beyond = set(new.permissions) - (only if only is not None else set(new.permissions))
        if beyond:
            raise Forbidden(
                f"The job asks for the permission `{min(beyond)}`, which its submitter does not hold"
            )

    def _insert(self, connection: sa.Connection, project: str, owner: int, new: NewJob) -> Job | None:
        now = self.context.clock.now()
        caller = self.context.principal
        role = caller.role_in(project) or Role.VIEWER
        values: dict[str, Any] = {
            "id": new_id(),
            "project_pk": owner,
            "entry": new.entry,
            "args": new.args,
            "snapshot": new.snapshot,
            "status": str(JobStatus.QUEUED),
            "attempt": 0,
            "max_attempts": new.max_attempts,
            "timeout_s": new.timeout_s,
            "created_at": now,
            "not_before": now,
            "key": new.key,
            "submitted_by": caller.name,
            "role": str(min(role, _STRONGEST, key=lambda held: held.rank)),
            "permissions": sorted(set(new.permissions)),
            "cancel_requested": False,
            "routine": new.routine,
            "queue": new.queue,
        }
        insert = self.context.database.insert(jobs).values(**values)
        once = insert.on_conflict_do_nothing(index_elements=["project_pk", "key"]).returning(jobs.c.pk)
        if connection.execute(once).first() is None:
            return None
        return load_job(connection, project, values["id"])

    def _begin(self, connection: sa.Connection, key: int, worker: str, now: datetime) -> None:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.pk == key)
            .values(
                status=str(JobStatus.RUNNING),
                attempt=jobs.c.attempt + 1,
                claimed_by=worker,
                lease_until=lease_from(now),
                started_at=sa.func.coalesce(jobs.c.started_at, sa.literal(now, jobs.c.started_at.type)),
            )
        )

    def _issue_token(self, connection: sa.Connection, job: Job) -> str:
        query = sa.select(jobs.c.role, jobs.c.permissions).where(jobs.c.id == job.id)
        role, beyond = connection.execute(query).one()
        return issue_narrow_token(
            connection,
            self.context.clock,
            name=token_name(job.id),
            project=job.project,
            permissions=PERMISSIONS_OF_JOBS.union(beyond),
            role=Role(role),
            ttl_s=job.timeout_s + _TOKEN_MARGIN_S,
        )


def _due(now: datetime, worker: WorkerInfo, full: Collection[str]) -> sa.Select[Any]:
    query = (
        sa.select(jobs.c.pk, jobs.c.id, projects.c.name)
        .join(projects, projects.c.pk == jobs.c.project_pk)
        .where(jobs.c.status == str(JobStatus.QUEUED))
        .where(jobs.c.not_before <= now)
        .order_by(jobs.c.pk)
        .limit(1)
    )
    if worker.projects is not None:
        query = query.where(projects.c.name.in_(worker.projects))
    if worker.queues is not None:
        query = query.where(jobs.c.queue.in_(worker.queues))
    if worker.routine:
        query = query.where(jobs.c.routine.is_(True))
    if full:
        query = query.where(sa.or_(projects.c.name.not_in(full), jobs.c.routine.is_(True)))
    return query


def _check_new(new: NewJob) -> None:
    if not _ENTRY.fullmatch(new.entry):
        raise Invalid(f"`{new.entry}` is not the entry of a job", hint="Write `package.module:function`")
    if new.snapshot is None and not new.entry.startswith("noria."):
        raise Invalid(
            f"The job `{new.entry}` is not Noria's own and comes without code",
            hint="Take a snapshot of its project, and give its digest",
        )
    if not _QUEUE.fullmatch(new.queue):
        raise Invalid(f"`{new.queue[:100]}` is not the name of a queue", hint="Such as `default` or `gpu`")
    if not 1 <= new.max_attempts <= MAX_ATTEMPTS:
        raise Invalid(f"`max_attempts` is {new.max_attempts}", hint=f"Give from 1 to {MAX_ATTEMPTS}")
    if not (math.isfinite(new.timeout_s) and 0 < new.timeout_s <= MAX_TIMEOUT_S):
        raise Invalid(
            f"`timeout_s` is {new.timeout_s}", hint=f"Give more than 0 and at most {MAX_TIMEOUT_S:g}"
        )


def _was_told(job: Job, outcome: Outcome) -> bool:
    """Tell whether this very outcome was taken in before: its answer was lost, and the worker says it again."""
    return (
        job.status.ended
        and job.status is outcome.status
        and (job.claimed_by, job.attempt) == (outcome.worker, outcome.attempt)
    )


def _log_row(job: int, number: int, line: LogLine) -> dict[str, Any]:
    return {
        "job_pk": job,
        "line": number,
        "at": line.at,
        "stream": line.stream[:16],
        "text": line.text[:MAX_LINE_CHARS],
    }
