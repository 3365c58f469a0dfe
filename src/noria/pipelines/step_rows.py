"""Steps of runs of pipelines, as rows: what each did, and what its key was made of when it last ran."""

from __future__ import annotations

from typing import Any

from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.database.schema import Converters
from noria.pipelines.cache_entities import KeyParts
from noria.pipelines.entities import EarlierStep, StepReport, StepStatus
from noria.pipelines.tables import latest_steps, pipeline_runs, step_runs

MOST_EARLIER_STEPS = 10_000


def insert_step(connection: sa.Connection, run: int, report: StepReport) -> bool:
    """Keep a step's report; False when it was kept before (a repeated request).

    In a run that was resumed it takes the place of the one of before.
    """
    values: dict[str, Any] = {
        "run_pk": run,
        "position": report.position,
        "step": report.step,
        "name": report.name,
        "occurrence": report.occurrence,
        "status": str(report.status),
        "reason": report.reason,
        "key": report.key,
        "attempts": report.attempts,
        "started_at": report.started_at,
        "duration_us": round(report.duration_s * 1e6),
        "outputs": report.outputs,
        "error": report.error,
        "sources": report.sources,
        "declared": report.declared,
        "within": report.group,
        "item": report.item,
    }
    row = _STEP_VALUES.to_driver(values)
    if _INSERT_STEP.first(connection, row) is None:
        if not _forget_older(connection, run, report):
            return False
        _INSERT_STEP.run(connection, row)
    counted = {
        "run": run,
        "steps": 1,
        "reused": int(report.status is StepStatus.REUSED),
        "failed": int(report.status is StepStatus.FAILED),
    }
    _COUNT_STEP.run(connection, counted)
    return True


def _forget_older(connection: sa.Connection, run: int, report: StepReport) -> bool:
    """Remove the report at the same position that began earlier, and tell whether there was one."""
    place = (step_runs.c.run_pk == run) & (step_runs.c.position == report.position)
    older = place & (step_runs.c.started_at < report.started_at)
    status = connection.execute(
        sa.delete(step_runs).where(older).returning(step_runs.c.status)
    ).scalar_one_or_none()
    if status is None:
        return False
    counted = {
        "run": run,
        "reused": -int(status == StepStatus.REUSED),
        "failed": -int(status == StepStatus.FAILED),
    }
    _COUNT_STEP.run(connection, {**counted, "steps": -1})
    return True


def _insert_step(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, step_runs).values({c.name: sa.bindparam(c.name) for c in step_runs.c})
    return insert.on_conflict_do_nothing().returning(step_runs.c.position)


_STEP_VALUES = Converters(step_runs)
_INSERT_STEP = Prepared(_insert_step)

_COUNT_STEP = Prepared(
    lambda _: (
        sa.update(pipeline_runs)
        .where(pipeline_runs.c.pk == sa.bindparam("run"))
        .values(
            n_steps=pipeline_runs.c.n_steps + sa.bindparam("steps", type_=sa.BigInteger),
            n_reused=pipeline_runs.c.n_reused + sa.bindparam("reused", type_=sa.BigInteger),
            n_failed=pipeline_runs.c.n_failed + sa.bindparam("failed", type_=sa.BigInteger),
        )
    )
)


def _keep_parts(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, latest_steps).values({c.name: sa.bindparam(c.name) for c in latest_steps.c})
    return insert.on_conflict_do_update(
        index_elements=["project_pk", "pipeline", "step", "occurrence"],
        set_={"run_id": insert.excluded.run_id, "parts": insert.excluded.parts},
    )


_PARTS_VALUES = Converters(latest_steps)
_KEEP_PARTS = Prepared(_keep_parts)


def to_report(row: Any) -> StepReport:
    """Make a step's report of its row."""
    values = {**row, "status": StepStatus(row["status"])}
    duration_s, group = values.pop("duration_us") / 1e6, values.pop("within")
    return StepReport(**values, duration_s=duration_s, group=group)


def keep_parts(
    connection: sa.Connection,
    *,
    owner: int,
    pipeline: str,
    run_id: str,
    report: StepReport,
    parts: KeyParts,
) -> None:
    """Remember what a step's key was made of, in place of what it was made of before."""
    values = {
        "project_pk": owner,
        "pipeline": pipeline,
        "step": report.step,
        "occurrence": report.occurrence,
        "run_id": run_id,
        "parts": parts,
    }
    _KEEP_PARTS.run(connection, _PARTS_VALUES.to_driver(values))


def earlier_steps(connection: sa.Connection, owner: int, pipeline: str) -> list[EarlierStep]:
    """Give what the steps of a pipeline were made of when they last ran."""
    rows = _EARLIER.all(connection, {"owner": owner, "pipeline": pipeline})
    return [EarlierStep(**_EARLIER_VALUES.from_driver(row)) for row in rows]


_EARLIER_VALUES = Converters((latest_steps, ("step", "occurrence", "run_id", "parts")))
_EARLIER = Prepared(
    lambda _: (
        sa.select(*_EARLIER_VALUES.columns)
        .where(latest_steps.c.project_pk == sa.bindparam("owner"))
        .where(latest_steps.c.pipeline == sa.bindparam("pipeline"))
        .limit(sa.literal_column(str(MOST_EARLIER_STEPS)))
    )
)
