"""Runs of pipelines, as rows; and how a run whose process died is noticed.

A running pipeline holds a lease of `LEASE_S` seconds that its process renews every `BEAT_S`. A run whose lease is over
was killed: the next run, the next listing and the control loop mark it so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from noria.access.authentication import drop_narrow_tokens
from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.database.schema import Converters, to_micros
from noria.core.errors import Conflict, ErrorBody, NotFound
from noria.core.events.log import EventType, append
from noria.core.permissions import Principal, Role
from noria.pipelines.entities import (
    NewPipelineRun,
    PipelineEnd,
    PipelineRun,
)
from noria.pipelines.events import PIPELINE_FINISHED
from noria.pipelines.tables import pipeline_runs
from noria.tracking.entities import RunEnd, RunStatus
from noria.tracking.lifecycle import RunStatusConflict
from noria.tracking.service import Runs
from noria.tracking.tables import runs

LEASE_S = 15.0
BEAT_S = 4.0

SYSTEM = Principal(name="noria", role=Role.ADMIN, holds_key=True)
_REAPED_AT_ONCE = 100

_RUN_VALUES = Converters(
    (
        pipeline_runs,
        (
            "run_id",
            "pipeline",
            "snapshot",
            "environment",
            "outputs",
            "error",
            "n_steps",
            "n_reused",
            "n_failed",
        ),
    ),
    (runs, ("status", "started_at", "ended_at")),
)


def _select_run() -> sa.Select[Any]:
    return sa.select(*_RUN_VALUES.columns).join(runs, runs.c.id == pipeline_runs.c.run_id)


_LOAD = Prepared(
    lambda _: (
        _select_run()
        .where(pipeline_runs.c.project_pk == sa.bindparam("owner"))
        .where(pipeline_runs.c.run_id == sa.bindparam("run_id"))
    )
)

_ANY_OVER = Prepared(
    lambda _: (
        sa.select(pipeline_runs.c.pk)
        .where(pipeline_runs.c.lease_until < sa.bindparam("now"))
        .limit(sa.literal_column("1"))
    )
)


class PipelineRunNotFound(NotFound):
    """No run of a pipeline has this id."""

    code = "pipeline_run_not_found"

    def __init__(self, project: str, run_id: str) -> None:
        super().__init__(
            f"The project `{project}` has no run `{run_id}` of a pipeline",
            hint="See `noria pipelines history`",
            details={"project": project, "run_id": run_id},
        )


class PipelineRunGoesOn(Conflict):
    """A run that is to be resumed is still running, or was until a moment ago."""

    code = "pipeline_run_goes_on"
    retryable = True

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The run `{run_id}` is running, or its process ended less than {LEASE_S:g} s ago",
            hint="Wait for it, or try again in a moment",
            details={"run_id": run_id},
        )


class PipelineRunOver(Conflict):
    """A run that is to be resumed has finished."""

    code = "pipeline_run_over"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The run `{run_id}` has finished, and nothing of it is left to do",
            hint="Run the pipeline again: what is unchanged is reused; `--force` runs every step",
            details={"run_id": run_id},
        )


def require_resumable(run: PipelineRun, *, gone: bool) -> None:
    """Refuse to resume a run that goes on or that has finished.

    Raises
    ------
    PipelineRunGoesOn, PipelineRunOver
    """
    if run.status is RunStatus.FINISHED:
        raise PipelineRunOver(run.run_id)
    if run.status not in (RunStatus.KILLED, RunStatus.FAILED) and not gone:
        raise PipelineRunGoesOn(run.run_id)


def take_up(connection: sa.Connection, run_id: str, lease_until: datetime, *, gone: bool) -> None:
    """Let a run have a lease again, if nobody else took it up meanwhile.

    Raises
    ------
    PipelineRunGoesOn
        If somebody did.
    """
    taken = connection.execute(
        sa.update(pipeline_runs)
        .where(pipeline_runs.c.run_id == run_id)
        .where(sa.true() if gone else pipeline_runs.c.lease_until.is_(None))
        .values(lease_until=lease_until, error=None, outputs={})
    )
    if taken.rowcount != 1:
        raise PipelineRunGoesOn(run_id)


def renew_lease(connection: sa.Connection, run_id: str, lease_until: datetime) -> None:
    """Let a run have its lease for longer, and be no longer one that was taken for dead."""
    _RENEW.run(connection, {"run_id": run_id, "lease_until": to_micros(lease_until)})


_RENEW = Prepared(
    lambda _: (
        sa.update(pipeline_runs)
        .where(pipeline_runs.c.run_id == sa.bindparam("run_id"))
        .values(lease_until=sa.bindparam("lease_until", type_=sa.BigInteger), error=sa.null())
    )
)


def select_runs(owner: int) -> sa.Select[Any]:
    """Give the query of a project's runs."""
    return _select_run().where(pipeline_runs.c.project_pk == owner)


def load_run(connection: sa.Connection, owner: int, project: str, run_id: str) -> PipelineRun:
    """Read one run.

    Raises
    ------
    PipelineRunNotFound
        If there is none of this id in the project.
    """
    row = _LOAD.first(connection, {"owner": owner, "run_id": run_id})
    if row is None:
        raise PipelineRunNotFound(project, run_id)
    return to_run(_RUN_VALUES.from_driver(row))


def to_run(row: Any) -> PipelineRun:
    """Make a run of its row."""
    return PipelineRun(**{**row, "status": RunStatus(row["status"])})


def run_key(connection: sa.Connection, owner: int, project: str, run_id: str) -> tuple[int, str]:
    """Give the integer key of a run and the pipeline that it runs."""
    row = _RUN_KEY.first(connection, {"run_id": run_id, "owner": owner})
    if row is None:
        raise PipelineRunNotFound(project, run_id)
    return int(row[0]), str(row[1])


_RUN_KEY = Prepared(
    lambda _: (
        sa.select(pipeline_runs.c.pk, pipeline_runs.c.pipeline)
        .where(pipeline_runs.c.run_id == sa.bindparam("run_id"))
        .where(pipeline_runs.c.project_pk == sa.bindparam("owner"))
    )
)


def insert_pipeline_run(connection: sa.Connection, owner: int, new: NewPipelineRun, now: datetime) -> bool:
    """Keep a run that begins; False when it was kept before (a repeated request)."""
    values = {
        "run_id": new.run_id,
        "project_pk": owner,
        "pipeline": new.pipeline,
        "snapshot": new.snapshot,
        "environment": new.environment,
        "lease_until": lease_from(now),
        "outputs": {},
        "error": None,
        "n_steps": 0,
        "n_reused": 0,
        "n_failed": 0,
    }
    return _INSERT_RUN.first(connection, _NEW_RUN.to_driver(values)) is not None


def _insert_run(dialect: str) -> sa.Executable:
    given: dict[str, Any] = {
        column.name: sa.bindparam(column.name) for column in pipeline_runs.c if column.name != "pk"
    }
    insert = upsertable(dialect, pipeline_runs).values(given)
    return insert.on_conflict_do_nothing(index_elements=["run_id"]).returning(pipeline_runs.c.pk)


_NEW_RUN = Converters(pipeline_runs)
_INSERT_RUN = Prepared(_insert_run)


def end_pipeline_run(connection: sa.Connection, key: int, end: PipelineEnd) -> None:
    """Keep what a run returned or raised, and take its lease."""
    values = _NEW_RUN.to_driver({"outputs": end.outputs, "error": end.error})
    _END_RUN.run(connection, {"key": key, **values})


_END_RUN = Prepared(
    lambda _: (
        sa.update(pipeline_runs)
        .where(pipeline_runs.c.pk == sa.bindparam("key"))
        .values(
            lease_until=sa.null(),
            outputs=sa.bindparam("outputs", type_=sa.Text),
            error=sa.bindparam("error", type_=sa.Text),
        )
    )
)


def token_of_steps(run_id: str) -> str:
    """Give the name of the tokens that steps of a run have on other machines."""
    return f"steps:{run_id}"


def lease_from(now: datetime) -> datetime:
    """Give the end of a lease that begins now."""
    return now + timedelta(seconds=LEASE_S)


def mark_killed(context: Context) -> int:
    """Mark the runs whose lease is over as killed, and count them. Safe to call from anywhere, twice."""
    acting = context.acting_as(SYSTEM)
    now = context.clock.now()
    with context.database.read() as connection:
        # Asked every other second, and nearly never is there one.
        if _ANY_OVER.first(connection, {"now": to_micros(now)}) is None:
            return 0
        over = connection.execute(
            sa.select(pipeline_runs.c.run_id, pipeline_runs.c.pipeline, pipeline_runs.c.lease_until)
            .where(pipeline_runs.c.lease_until < now)
            .limit(_REAPED_AT_ONCE)
        ).all()
    return sum(_mark_killed(acting, run_id, pipeline, lease) for run_id, pipeline, lease in over)


def _mark_killed(context: Context, run_id: str, pipeline: str, lease: datetime) -> bool:
    with context.database.write() as connection:
        # The process may have renewed its lease since we looked.
        freed = connection.execute(
            sa.update(pipeline_runs)
            .where(pipeline_runs.c.run_id == run_id)
            .where(pipeline_runs.c.lease_until == lease)
            .values(lease_until=None, error=_KILLED)
        )
        project = _project_of(connection, run_id)
        drop_narrow_tokens(connection, token_of_steps(run_id))
    if freed.rowcount != 1 or project is None:
        return False
    try:
        context.service(Runs).end(project, run_id, RunEnd(status=RunStatus.KILLED))
    except RunStatusConflict:
        return False  # it had ended, and only its last word was missing
    with context.database.write() as connection:
        append_event(
            connection,
            context,
            PIPELINE_FINISHED,
            project=project,
            run_id=run_id,
            payload={"pipeline": pipeline, "status": str(RunStatus.KILLED)},
        )
    return True


_KILLED = ErrorBody(
    code="killed",
    message="The process of this run ended without a word",
    hint="Let it go on with `noria run --resume RUN`, or run the pipeline again: finished steps are reused",
)


def _project_of(connection: sa.Connection, run_id: str) -> str | None:
    from noria.access.tables import projects

    query = (
        sa.select(projects.c.name).join(runs, runs.c.project_pk == projects.c.pk).where(runs.c.id == run_id)
    )
    return connection.execute(query).scalar_one_or_none()


def append_event(
    connection: sa.Connection,
    context: Context,
    kind: EventType,
    *,
    project: str,
    run_id: str,
    payload: dict[str, Any],
) -> None:
    """Append an event of a run."""
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=f"run:{run_id}",
        project=project,
        payload=payload,
    )
