"""Change a run within a transaction, and tell of it in the event log."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.events.log import EventType
from noria.tracking.batches import write_batch
from noria.tracking.entities import LogBatch, NewRun, Run, RunChange, RunRecord, RunStatus
from noria.tracking.events import RUN_CREATED, RUN_FINISHED, RUN_RESUMED, RUN_UPDATED, append_event
from noria.tracking.experiment_rows import Row
from noria.tracking.lifecycle import amend_run, end_run, insert_run
from noria.tracking.parents import PARENT_TAG, follow_parent_tag
from noria.tracking.rows import RunState, load_run, run_state
from noria.tracking.run_keys import RunKey, writable_run


def start_run(
    connection: sa.Connection, context: Context, project: str, new: NewRun, experiment: Row | None = None
) -> Run:
    """Start a checked run; a second request with the same id gives the run that the first one made.

    Parameters
    ----------
    experiment
        The row of the experiment that the run names, for whoever has it already.

    Raises
    ------
    ExperimentDeleted
        If its experiment was deleted.
    """
    inserted = insert_run(connection, context, project, new, experiment)
    if inserted is None:
        return load_run(connection, project, new.id or "")
    key, made = inserted
    if new.params or new.tags:
        batch = LogBatch(params=new.params, tags=dict(new.tags))
        write_batch(connection, context.clock, project=project, run=key, run_id=made.id, batch=batch)
        made = msgspec.structs.replace(made, params=new.params, tags=new.tags)
    payload = {"experiment": made.experiment, "name": made.name, "parent": made.parent}
    append_run_event(connection, context, RUN_CREATED, project, made.id, payload)
    return made


def log_batch(
    connection: sa.Connection, context: Context, project: str, run_id: str, batch: LogBatch
) -> None:
    """Keep what a run logs.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    RunDeleted
        If it was deleted.
    ParamChanged
        If a param has another value already.
    """
    log_to(connection, context, project, run_id, writable_run(connection, project, run_id), batch)


def log_to(
    connection: sa.Connection, context: Context, project: str, run_id: str, run: RunKey, batch: LogBatch
) -> None:
    """Keep what a run logs, whose keys are known and which is not deleted.

    Raises
    ------
    ParamChanged
        If a param has another value already.
    """
    write_batch(connection, context.clock, project=project, run=run, run_id=run_id, batch=batch)
    if PARENT_TAG in batch.tags:
        follow_parent_tag(connection, project, run, batch.tags[PARENT_TAG])
    payload = _names_of(batch)
    if payload:
        append_run_event(connection, context, RUN_UPDATED, project, run_id, payload)


def record_run(connection: sa.Connection, context: Context, project: str, record: RunRecord) -> None:
    """Keep a checked run from its start to its end; a second request with the same id changes nothing.

    Raises
    ------
    ExperimentDeleted
        If its experiment was deleted.
    Invalid
        If it would end before it started.
    """
    new, end = record.new, record.end
    run = start_run(connection, context, project, new)
    if end.last is not None:
        log_batch(connection, context, project, run.id, end.last)
    ended_at = end.ended_at or context.clock.now()
    if run.status is RunStatus.RUNNING:
        before = run_state(connection, project, run.id)
        end_run(connection, before, end.status, ended_at)
        after = before._replace(status=end.status, ended_at=ended_at)
        append_status_event(connection, context, project, before, after)


def change_run(
    connection: sa.Connection, context: Context, project: str, run_id: str, change: RunChange
) -> RunState:
    """Make a run what the change says, and give its state then.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    RunDeleted
        If it was deleted.
    """
    return change_found(connection, context, project, run_state(connection, project, run_id), change)


def change_found(
    connection: sa.Connection, context: Context, project: str, before: RunState, change: RunChange
) -> RunState:
    """Make a run whose state is known what the change says, and give its state then.

    Raises
    ------
    RunDeleted
        If it was deleted.
    """
    after = amend_run(connection, before, change, context.clock)
    if after.name != before.name:
        append_run_event(connection, context, RUN_UPDATED, project, after.id, {"name": after.name})
    append_status_event(connection, context, project, before, after)
    return after


def append_status_event(
    connection: sa.Connection, context: Context, project: str, before: RunState, after: RunState
) -> None:
    """Append the event of a run that ended, or goes on, if it did."""
    if after.status is before.status:
        return
    if after.status.ended:
        payload: dict[str, Any] = {"status": after.status}
        if after.ended_at is not None:
            payload["duration_s"] = (after.ended_at - after.started_at).total_seconds()
        append_run_event(connection, context, RUN_FINISHED, project, after.id, payload)
    else:
        append_run_event(connection, context, RUN_RESUMED, project, after.id, {"was": before.status})


def append_run_event(
    connection: sa.Connection,
    context: Context,
    kind: EventType,
    project: str,
    run_id: str,
    payload: dict[str, Any],
) -> None:
    """Append an event of a run."""
    subject = f"run:{run_id}"
    append_event(connection, context, kind, subject=subject, project=project, payload=payload)


def _names_of(batch: LogBatch) -> dict[str, Any]:
    """List what a batch changes besides metric points, for its event: names only."""
    named: dict[str, list[str]] = {
        "params": [*batch.params],
        "tags": [*batch.tags],
        "inputs": [link.ref for link in batch.inputs],
        "outputs": [link.ref for link in batch.outputs],
        "artifacts": [*batch.artifacts],
        "datasets": [dataset.name for dataset in batch.datasets],
    }
    return {kind: names for kind, names in named.items() if names}
