"""Make what is told of the events of the log, from the rows that they point to."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from noria.core.events.log import Event
from noria.interop.openlineage.entities import Parent, Thing, Told
from noria.pipelines.entities import StepReport, StepStatus
from noria.pipelines.events import PIPELINE_FINISHED, STEP_FINISHED
from noria.pipelines.step_rows import to_report
from noria.pipelines.tables import pipeline_runs, step_runs
from noria.tracking.entities import Link, Run, RunStatus
from noria.tracking.events import RUN_CREATED, RUN_FINISHED, RUN_RESUMED
from noria.tracking.lineage import RUN_PREFIX
from noria.tracking.run_rows import load_runs
from noria.tracking.tables import runs

RUN_EVENTS = (str(RUN_CREATED), str(RUN_FINISHED), str(RUN_RESUMED), str(PIPELINE_FINISHED))
STEP_EVENT = str(STEP_FINISHED)

_ENDS = {
    RunStatus.FINISHED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.KILLED: "ABORT",
}
_KINDS = {"dataset": "DATASET", "model": "MODEL", "logged-model": "MODEL"}


def tell(connection: sa.Connection, event: Event) -> list[Told]:
    """Give what a collector is told of an event; nothing of a run that is gone since."""
    run = _load(connection, event.subject.removeprefix(RUN_PREFIX))
    if run is None:
        return []
    record = _pipeline_run(connection, run.id)
    if event.type == STEP_EVENT:
        return _of_step(connection, run, record, event.payload.get("position"))
    if event.type == RUN_FINISHED and record is not None:
        return []  # `pipeline.finished` follows, when its outputs are known too
    return [_of_run(connection, run, record, event)]


def _load(connection: sa.Connection, run_id: str) -> Run | None:
    key = connection.execute(sa.select(runs.c.pk).where(runs.c.id == run_id)).scalar_one_or_none()
    return None if key is None else load_runs(connection, [key])[0]


def _pipeline_run(connection: sa.Connection, run_id: str) -> Any:
    return connection.execute(
        sa.select(
            pipeline_runs.c.pk,
            pipeline_runs.c.pipeline,
            pipeline_runs.c.snapshot,
            pipeline_runs.c.environment,
            pipeline_runs.c.outputs,
            pipeline_runs.c.error,
        ).where(pipeline_runs.c.run_id == run_id)
    ).first()


def _of_run(connection: sa.Connection, run: Run, record: Any, event: Event) -> Told:
    ended = event.type in (RUN_FINISHED, PIPELINE_FINISHED)
    state = "START" if event.type == RUN_CREATED else "RUNNING"
    if ended:
        # Of a run that was resumed since, the row says how it is now; the event says how it ended then.
        state = _ENDS.get(RunStatus(event.payload.get("status", run.status)), "OTHER")
    job = _job(run, record)
    error = record.error.message if record is not None and record.error is not None else None
    return Told(
        state=state,
        at=run.started_at if event.type == RUN_CREATED else event.at,
        project=run.project,
        run_id=_uuid(run.id),
        job=job,
        job_type="RUN" if record is None else "PIPELINE",
        parent=_parent(connection, run.parent),
        inputs=tuple(_things(run.inputs)) if ended else (),
        outputs=(*_things(run.outputs), *_results(job, record)) if ended else (),
        params=run.params,
        error=(error or "The run failed") if state == "FAIL" else None,
        code=record.snapshot if record is not None else _commit(run),
        environment=None if record is None else record.environment,
        author=run.author,
    )


def _of_step(connection: sa.Connection, run: Run, record: Any, position: int | None) -> list[Told]:
    """Tell of the beginning and the end of a step at once: the log hears of it when it has ended."""
    if record is None or position is None:
        return []
    reports = _reports(connection, record.pk, position)
    report = reports.get(position)
    if report is None:
        return []
    job = _job(run, record)
    failed = report.status is StepStatus.FAILED
    common: dict[str, Any] = {
        "project": run.project,
        "run_id": str(uuid.uuid5(uuid.UUID(_uuid(run.id)), str(position))),
        "job": _step_job(job, report),
        "job_type": "STEP",
        "parent": Parent(run_id=_uuid(run.id), job=job),
        "inputs": tuple(_sources(job, report, reports)),
        "code": record.snapshot,
        "environment": record.environment,
        "author": run.author,
    }
    ended_at = report.started_at.fromtimestamp(
        report.started_at.timestamp() + report.duration_s, report.started_at.tzinfo
    )
    end = Told(
        **common,
        state="FAIL" if failed else "COMPLETE",
        at=ended_at,
        outputs=tuple(_made(job, report)),
        error=report.error.message if report.error is not None else None,
    )
    return [Told(**common, state="START", at=report.started_at), end]


def _reports(connection: sa.Connection, run: int, position: int) -> dict[int, StepReport]:
    """Read a step and those that made its arguments."""
    columns = [column for column in step_runs.c if column.name != "run_pk"]

    def read(positions: Iterable[int]) -> dict[int, StepReport]:
        query = sa.select(*columns).where(step_runs.c.run_pk == run, step_runs.c.position.in_(positions))
        rows = connection.execute(query).mappings().all()
        return {row["position"]: to_report(row) for row in rows}

    found = read([position])
    needed = {source.source_position for report in found.values() for source in report.sources}
    return found | read(sorted(needed)) if needed else found


def _sources(job: str, report: StepReport, reports: dict[int, StepReport]) -> Iterable[Thing]:
    for source in report.sources:
        made = reports.get(source.source_position)
        for name, thing in _named(job, made) if made is not None else ():
            if name == source.output:
                yield thing


def _made(job: str, report: StepReport) -> Iterable[Thing]:
    return (thing for _, thing in _named(job, report))


def _named(job: str, report: StepReport) -> Iterable[tuple[str, Thing]]:
    """Give a step's outputs by their names. A data set of OpenLineage keeps its name from run to run."""
    names: Sequence[str] = list(report.declared)
    if len(names) != len(report.outputs):
        names = [str(index) for index in range(len(report.outputs))]
    for name, output in zip(names, report.outputs, strict=True):
        yield name, Thing(name=f"{_step_job(job, report)}/{name}", kind="JOB_OUTPUT", version=output.digest)


def _step_job(job: str, report: StepReport) -> str:
    """Name a step among those of its pipeline; of several calls each is a job of its own."""
    return f"{job}.{report.name}" + (f"[{report.occurrence}]" if report.occurrence else "")


def _results(job: str, record: Any) -> Iterable[Thing]:
    """Give what the pipeline returned, by its names."""
    if record is not None:
        for name, output in record.outputs.items():
            yield Thing(name=f"{job}/{name}", kind="JOB_OUTPUT", version=output.digest)


def _things(links: Iterable[Link]) -> Iterable[Thing]:
    """Give data sets and models; objects are told of as outputs of steps, which have names."""
    for link in links:
        kind, _, named = link.ref.partition(":")
        if kind != "object":
            name, at, version = named.rpartition("@")
            yield Thing(
                name=f"{kind}:{name if at else named}",
                kind=_KINDS.get(kind, "FILE"),
                version=version if at else link.digest,
            )


def _parent(connection: sa.Connection, run_id: str | None) -> Parent | None:
    if run_id is None:
        return None
    run = _load(connection, run_id)
    return (
        None
        if run is None
        else Parent(run_id=_uuid(run.id), job=_job(run, _pipeline_run(connection, run.id)))
    )


def _job(run: Run, record: Any) -> str:
    return str(record.pipeline) if record is not None else run.experiment


def _commit(run: Run) -> str | None:
    return run.source.git_commit if run.source is not None else None


def _uuid(run_id: str) -> str:
    try:
        return str(uuid.UUID(run_id))
    except ValueError:  # runs that were imported keep the ids of where they come from
        return str(uuid.uuid5(uuid.NAMESPACE_OID, run_id))
