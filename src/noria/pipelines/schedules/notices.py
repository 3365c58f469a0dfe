"""What people are told of a schedule that fails and recovers, by mail and by webhook.

A notice is written down in the transaction in which the run ends, text and all, and sent by a workflow that tries
again where that may help. A notice that was sent and not yet recorded when the process died is sent again, under the
same identifier.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import NoriaError
from noria.core.ids import new_id
from noria.core.outbound.mail import Mail
from noria.pipelines.job_entities import Job
from noria.pipelines.receivers import MAILTO, post, send_mail
from noria.pipelines.schedules.entities import RunState, ScheduleRun, Told
from noria.pipelines.schedules.rows import Held
from noria.pipelines.schedules.signing import notice_secret, signed_headers
from noria.pipelines.schedules.tables import schedule_notices, schedule_runs, schedules
from noria.pipelines.tables import job_logs, jobs

PAUSES_S = (2.0, 10.0, 60.0, 300.0, 1800.0)
"""Between the attempts to send a notice, of which there is one more."""

LOG_LINES = 30
_LINE_CHARS = 500
_ERROR_CHARS = 500

_log = logging.getLogger("noria.schedules")


def note(
    connection: sa.Connection,
    context: Context,
    held: Held,
    run: ScheduleRun,
    *,
    state: RunState,
    job: Job | None,
    reason: str | None,
) -> None:
    """Write down what is told of the end of a run, if anything is.

    Parameters
    ----------
    held
        The schedule as it was before this run ended.
    """
    spec = held.schedule.spec
    kind = _kind(held, state)
    if kind is None or kind not in spec.notify_on or not spec.notify:
        return
    now = context.clock.now()
    subject, body = _text(connection, context, held, run, kind, job, reason, now)
    told = {
        "run_pk": connection.execute(
            sa.select(schedule_runs.c.pk).where(schedule_runs.c.id == run.id)
        ).scalar_one(),
        "attempt": run.attempt,
        "kind": str(kind),
        "subject": subject,
        "body": body,
        "facts": _told_facts(held, run, kind, reason, body, now),
        "status": "waiting",
        "n_attempts": 0,
        "created_at": now,
        "due_at": now,
    }
    for address in dict.fromkeys(spec.notify):
        insert = context.database.insert(schedule_notices).values(id=new_id(), address=address, **told)
        connection.execute(
            insert.on_conflict_do_nothing(index_elements=["run_pk", "attempt", "kind", "address"])
        )


def _told_facts(
    held: Held, run: ScheduleRun, kind: Told, reason: str | None, text: str, now: datetime
) -> dict[str, Any]:
    schedule = held.schedule
    return {
        "project": schedule.project,
        "schedule": schedule.name,
        "kind": str(kind),
        "run": run.id,
        "job": run.job_id,
        "reason": reason,
        "failing_since": schedule.failing_since or (now if kind is Told.FAILURE else None),
        "n_failures": schedule.n_failures + (kind is Told.FAILURE),
        "text": text,
    }


def has_notices(context: Context, run_id: str) -> bool:
    """Tell whether somebody is to be told of a run."""
    query = sa.select(schedule_notices.c.pk).where(_of_run(run_id)).limit(1)
    with context.database.read() as connection:
        return connection.execute(query).first() is not None


def send_due(context: Context, run_id: str) -> float | None:
    """Send the notices of a run that are due, and give the seconds until the next one; None when all have ended."""
    now = context.clock.now()
    query = (
        sa.select(schedule_notices, schedules.c.salt)
        .join(schedule_runs, schedule_runs.c.pk == schedule_notices.c.run_pk)
        .join(schedules, schedules.c.pk == schedule_runs.c.schedule_pk)
        .where(_of_run(run_id))
    )
    with context.database.read() as connection:
        due = connection.execute(query.where(schedule_notices.c.due_at <= now)).fetchall()
    for notice in due:
        _record(context, notice, _sent(context, notice))
    with context.database.read() as connection:
        soonest = sa.select(sa.func.min(schedule_notices.c.due_at)).where(_of_run(run_id))
        due_at: datetime | None = connection.execute(soonest).scalar_one_or_none()
    return None if due_at is None else max(0.0, (due_at - context.clock.now()).total_seconds())


def lasting(span: timedelta) -> str:
    """Say how long something took.

    Examples
    --------
    >>> lasting(timedelta(seconds=42)), lasting(timedelta(hours=3, minutes=5)), lasting(timedelta(days=2, hours=1))
    ('42 s', '3 h 5 min', '2 d 1 h')
    """
    seconds = int(span.total_seconds())
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for index, (unit, size) in enumerate(units):
        if seconds >= size or unit == "s":
            parts = [f"{seconds // size} {unit}"]
            if index < 2 and (rest := seconds % size // units[index + 1][1]):
                parts.append(f"{rest} {units[index + 1][0]}")
            return " ".join(parts)
    return "0 s"


def _kind(held: Held, state: RunState) -> Told | None:
    failing = held.schedule.failing_since is not None
    if state is RunState.FAILED:
        # Of a schedule that goes on failing people know already.
        return None if failing else Told.FAILURE
    recovered = failing and Told.RECOVERY in held.schedule.spec.notify_on
    return Told.RECOVERY if recovered else Told.SUCCESS


def _text(
    connection: sa.Connection,
    context: Context,
    held: Held,
    run: ScheduleRun,
    kind: Told,
    job: Job | None,
    reason: str | None,
    now: datetime,
) -> tuple[str, str]:
    schedule = held.schedule
    where = f"{schedule.project}/{schedule.name}"
    name = f"The schedule `{schedule.name}` of the project `{schedule.project}`"
    since = schedule.failing_since
    if kind is Told.FAILURE:
        subject, first = f"[noria] {where} failed: {reason}", f"{name} failed."
    elif kind is Told.RECOVERY and since is not None:
        long = lasting(now - since)
        n_runs = f"{schedule.n_failures} run{'s' if schedule.n_failures != 1 else ''}"
        subject = f"[noria] {where} succeeds again, after failing for {long}"
        first = f"{name} succeeds again. It failed for {long}, since {_local(held, since)}: {n_runs}."
    else:
        subject, first = f"[noria] {where} succeeded", f"{name} succeeded."
    lines = [first, "", *_facts(held, run, job, reason)]
    if kind is Told.FAILURE:
        lines += [*_traceback(job), *_log_tail(connection, run.job_id)]
    if run.job_id is not None:
        lines += ["", "More:", *(f"  {command}" for command in _commands(context, held, run))]
    return subject, "\n".join(lines) + "\n"


def _facts(held: Held, run: ScheduleRun, job: Job | None, reason: str | None) -> list[str]:
    pairs: list[tuple[str, str | None]] = [
        ("pipeline", held.schedule.spec.run),
        ("interval", _interval(held, run)),
        ("why it ran", str(run.cause)),
        ("error", reason),
        ("hint", job.error.hint if job and job.error else None),
        ("worker", job.claimed_by if job else None),
        ("attempts", f"{job.attempt} of {job.max_attempts}" if job else None),
        ("began", _local(held, job.started_at) if job and job.started_at else None),
        ("ended", _local(held, job.ended_at) if job and job.ended_at else None),
        ("job", run.job_id),
    ]
    return [f"{name:<12}{value}" for name, value in pairs if value]


def _interval(held: Held, run: ScheduleRun) -> str | None:
    if run.interval_start is None or run.interval_end is None:
        return None
    return f"{_local(held, run.interval_start)} to {_local(held, run.interval_end)}"


def _local(held: Held, moment: datetime) -> str:
    zone = held.schedule.spec.timezone
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}"


def _traceback(job: Job | None) -> list[str]:
    text = str((job.error.details or {}).get("traceback", "")) if job and job.error else ""
    lines = [line[:_LINE_CHARS] for line in text.strip().splitlines()[-LOG_LINES:]]
    return ["", "Where it failed:", *(f"  {line}" for line in lines)] if lines else []


def _log_tail(connection: sa.Connection, job_id: str | None) -> list[str]:
    query = (
        sa.select(job_logs.c.text)
        .join(jobs, jobs.c.pk == job_logs.c.job_pk)
        .where(jobs.c.id == job_id)
        .order_by(job_logs.c.line.desc())
        .limit(LOG_LINES)
    )
    lines = [text[:_LINE_CHARS] for text in connection.execute(query).scalars()][::-1]
    return ["", "The end of its log:", *(f"  {line}" for line in lines)] if lines else []


def _commands(context: Context, held: Held, run: ScheduleRun) -> list[str]:
    place = f"--project {held.schedule.project} --workspace {context.settings.workspace}"
    return [f"noria jobs logs {run.job_id} {place}", f"noria schedules history {held.schedule.name} {place}"]


def _of_run(run_id: str) -> sa.ColumnElement[bool]:
    of_it = sa.select(schedule_runs.c.pk).where(schedule_runs.c.id == run_id).scalar_subquery()
    return sa.and_(schedule_notices.c.run_pk == of_it, schedule_notices.c.status == "waiting")


def _sent(context: Context, notice: Any) -> NoriaError | None:
    """Send a notice once; gives the error instead of raising it."""
    send: Callable[[Context, Any], None] = _mail if notice.address.startswith(MAILTO) else _call
    try:
        send(context, notice)
    except NoriaError as error:
        return error
    return None


def _mail(context: Context, notice: Any) -> None:
    mail = Mail(
        to=notice.address.removeprefix(MAILTO), subject=notice.subject, text=notice.body, id=notice.id
    )
    send_mail(context.settings, context.clock, mail)


def _call(context: Context, notice: Any) -> None:
    body = msgspec.json.encode(
        {"type": f"schedule.{notice.kind}", "timestamp": notice.created_at, "data": notice.facts}
    )
    secret = notice_secret(context.settings.folder, notice.salt)
    headers = signed_headers(secret, id_=notice.id, now=context.clock.now(), body=body)
    post(context.settings, context.clock, notice.address, headers=headers, body=body)


def _record(context: Context, notice: Any, error: NoriaError | None) -> None:
    n_attempts, now = notice.n_attempts + 1, context.clock.now()
    goes_on = error is not None and error.retryable and n_attempts <= len(PAUSES_S)
    status = "sent" if error is None else "waiting" if goes_on else "failed"
    if error is not None:
        told = {"notice": notice.id, "kind": notice.kind, "error": error.message, "outcome": status}
        _log.warning("schedule.notice", extra=told)
    with context.database.write() as connection:
        connection.execute(
            sa.update(schedule_notices)
            .where(schedule_notices.c.pk == notice.pk, schedule_notices.c.n_attempts == notice.n_attempts)
            .values(
                status=status,
                n_attempts=n_attempts,
                error=error.message[:_ERROR_CHARS] if error else None,
                due_at=now + timedelta(seconds=PAUSES_S[min(n_attempts, len(PAUSES_S)) - 1]),
                ended_at=None if goes_on else now,
            )
        )
