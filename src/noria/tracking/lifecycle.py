"""Start, end, change, delete and restore runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from noria.core.clock import Clock
from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict, Invalid
from noria.core.ids import is_id, new_id
from noria.tracking.counts import count, count_marked
from noria.tracking.entities import ALLOWED_MOVES, NewRun, Run, RunChange, RunSource, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.experiment_rows import ExperimentDeleted, Row, find_or_create_experiment
from noria.tracking.limits import check_instant, check_length, check_params, check_tags, check_title, shorten
from noria.tracking.rows import RunState
from noria.tracking.run_keys import RunDeleted, RunKey, run_pk
from noria.tracking.tables import experiments, runs

MAX_SOURCE_CHARS = 8_000
MAX_AUTHOR_CHARS = 200


class RunStatusConflict(Conflict):
    """A run cannot get this status from the one it has."""

    code = "run_status_conflict"

    def __init__(self, run_id: str, *, old: RunStatus, new: RunStatus) -> None:
        if old.ended and new.ended:
            message = f"The run `{run_id}` has ended already: it is {old}, and cannot become {new}"
            hint = f"Resume it first, with `noria.run(resume='{run_id}')`"
        else:
            message = f"The run `{run_id}` is {old} and cannot become {new}"
            allowed = ", ".join(sorted(ALLOWED_MOVES[old]))
            hint = f"From {old} it may become: {allowed}"
        super().__init__(message, hint=hint, details={"run_id": run_id, "status": old, "wanted": new})


def check_new_run(new: NewRun) -> None:
    """Refuse a run of which anything passes a limit."""
    check_title("experiment", new.experiment)
    if new.name is not None:
        check_title("run", new.name)
    if new.id is not None and not is_id(new.id):
        raise Invalid(
            f"`{shorten(new.id)}` is not an id", hint="Use 32 digits out of 0-9 and a-f, or leave it out"
        )
    check_params(new.params)
    check_tags(new.tags)
    check_instant("start", new.started_at)
    check_length("author", new.author or "", MAX_AUTHOR_CHARS)
    check_source(new.source)


def check_source(source: RunSource | None) -> None:
    """Refuse what is told of a run's code if any of it is too long."""
    if source is not None:
        for text in (source.git_commit, source.command, source.python, source.host):
            check_length("run's source", text or "", MAX_SOURCE_CHARS)


def insert_run(
    connection: sa.Connection, context: Context, project: str, new: NewRun, experiment: Row | None = None
) -> tuple[RunKey, Run] | None:
    """Insert a run, without params and tags, and give its integer keys and itself.

    None when there is a run of the same id already, from an earlier request.

    Parameters
    ----------
    experiment
        The row of the experiment that the run names, for whoever has it already.

    Raises
    ------
    ExperimentDeleted
        If its experiment was deleted.
    """
    experiment = _open_experiment(connection, context, project, new.experiment, experiment)
    run_id = new.id or new_id()
    made = Run(
        id=run_id,
        project=project,
        experiment=new.experiment,
        name=new.name or f"run-{run_id[-8:]}",
        status=RunStatus.RUNNING,
        started_at=new.started_at or context.clock.now(),
        source=new.source,
        parent=new.parent,
        author=_author(context.principal.name, new.author),
    )
    values = {
        "id": run_id,
        "project_pk": experiment["project_pk"],
        "experiment_pk": experiment["pk"],
        "parent_pk": run_pk(connection, project, new.parent) if new.parent else None,
        "name": made.name,
        "status": made.status.value,
        "started_at": to_micros(made.started_at),
        "author": made.author,
        "source": _json(made.source),
    }
    inserted = _INSERT.first(connection, values)
    if inserted is None:
        return None
    count(connection, [(experiment["pk"], 0, made.status.value, 1)])
    return RunKey(inserted[0], experiment["pk"]), made


def _open_experiment(
    connection: sa.Connection, context: Context, project: str, name: str, found: Row | None
) -> Row:
    row, made = found, False
    if row is None:
        row, made = find_or_create_experiment(connection, context, project, NewExperiment(name=name))
    if not made and connection.dialect.name == "postgresql":
        # Whoever deletes the experiment waits for this transaction, and so finds the run that it adds.
        locked = sa.select(experiments.c.deleted_at).where(experiments.c.pk == row["pk"])
        row["deleted_at"] = connection.execute(locked.with_for_update(read=True)).scalar_one()
    if row["deleted_at"] is not None:
        raise ExperimentDeleted(project, name)
    return row


def _author(caller: str, claimed: str | None) -> str:
    # A signed-in caller is who the token says; only the folder's owner may tell a name.
    return claimed or caller if caller == "local" else caller


def end_run(connection: sa.Connection, state: RunState, status: RunStatus, ended_at: datetime) -> None:
    """Give a run that has not ended its end.

    Raises
    ------
    RunStatusConflict
        If the status that it has does not allow it.
    Invalid
        If it would end before it started.
    """
    if status not in ALLOWED_MOVES[state.status]:
        raise RunStatusConflict(state.id, old=state.status, new=status)
    if ended_at < state.started_at:
        raise Invalid(
            f"The run `{state.id}` cannot end at {ended_at.isoformat()}:"
            f" it started at {state.started_at.isoformat()}",
            hint="Leave `ended_at` out for now",
        )
    set_status(connection, state, status, ended_at)


def set_status(
    connection: sa.Connection, state: RunState, status: RunStatus, ended_at: datetime | None
) -> None:
    """Give an active run a status, whichever it had.

    Raises
    ------
    RunDeleted
        If it was deleted.
    RunStatusConflict
        If another writer moved it since its state was read.
    """
    if state.key.deleted:
        raise RunDeleted(state.id)
    values = {
        "run": state.key.pk,
        "old": state.status.value,
        "new": status.value,
        "end": None if ended_at is None else to_micros(ended_at),
    }
    if _SET_STATUS.run(connection, values) != 1:
        raise _overtaken(connection, state, status)
    if status is not state.status:
        experiment = state.key.experiment
        count(connection, [(experiment, 0, state.status.value, -1), (experiment, 0, status.value, 1)])


def amend_run(connection: sa.Connection, state: RunState, change: RunChange, clock: Clock) -> RunState:
    """Make a run what the change says, and give its state then; what the change leaves out stays.

    Raises
    ------
    RunDeleted
        If it was deleted.
    """
    if state.key.deleted:
        raise RunDeleted(state.id)
    named: dict[str, Any] = {}
    if change.name is not None:
        named["name"] = change.name
    if change.source is not None:
        named["source"] = change.source
    if named:
        connection.execute(sa.update(runs).where(runs.c.pk == state.key.pk).values(**named))
    if change.status is not None or change.ended_at is not None:
        status = change.status or state.status
        ended_at = _end_of(state, change, status, clock)
        set_status(connection, state, status, ended_at)
        state = state._replace(status=status, ended_at=ended_at)
    return state if change.name is None else state._replace(name=change.name)


def _end_of(state: RunState, change: RunChange, status: RunStatus, clock: Clock) -> datetime | None:
    if change.ended_at is not None:
        return change.ended_at
    if not status.ended:
        return None
    return state.ended_at or (None if change.end_unknown else clock.now())


def mark_deleted(connection: sa.Connection, key: RunKey, at: datetime) -> bool:
    """Mark a run as deleted; False when it is so already."""
    return _mark(connection, key, _DELETE, {"run": key.pk, "at": to_micros(at)}, deleted=True)


def mark_restored(connection: sa.Connection, key: RunKey) -> bool:
    """Make a deleted run active again; False when it is so already."""
    return _mark(connection, key, _RESTORE, {"run": key.pk}, deleted=False)


def _mark(
    connection: sa.Connection, key: RunKey, statement: Prepared, values: dict[str, Any], *, deleted: bool
) -> bool:
    statuses = [row[0] for row in statement.all(connection, values)]
    count_marked(connection, key.experiment, statuses, deleted=deleted)
    return bool(statuses)


def _overtaken(connection: sa.Connection, state: RunState, wanted: RunStatus) -> Conflict:
    """Say what another writer made of a run since its state was read."""
    query = sa.select(runs.c.status, runs.c.deleted_at).where(runs.c.pk == state.key.pk)
    status, deleted_at = connection.execute(query).one()
    if deleted_at is not None:
        return RunDeleted(state.id)
    return RunStatusConflict(state.id, old=RunStatus(status), new=wanted)


def _json(source: RunSource | None) -> str | None:
    return None if source is None else msgspec.json.encode(source).decode()


_INSERTED = (
    "id",
    "project_pk",
    "experiment_pk",
    "parent_pk",
    "name",
    "status",
    "started_at",
    "author",
    "source",
)
_INSERT = Prepared(
    lambda dialect: (
        upsertable(dialect, runs)
        .values({name: sa.bindparam(name) for name in _INSERTED})
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(runs.c.pk)
    )
)
_SET_STATUS = Prepared(
    lambda _: (
        sa.update(runs)
        .where(runs.c.pk == sa.bindparam("run"))
        .where(runs.c.status == sa.bindparam("old"))
        .where(runs.c.deleted_at.is_(None))
        .values(status=sa.bindparam("new"), ended_at=sa.bindparam("end"))
    )
)
_DELETE = Prepared(
    lambda _: (
        sa.update(runs)
        .where(runs.c.pk == sa.bindparam("run"))
        .where(runs.c.deleted_at.is_(None))
        .values(deleted_at=sa.bindparam("at"))
        .returning(runs.c.status)
    )
)
_RESTORE = Prepared(
    lambda _: (
        sa.update(runs)
        .where(runs.c.pk == sa.bindparam("run"))
        .where(runs.c.deleted_at.is_not(None))
        .values(deleted_at=None)
        .returning(runs.c.status)
    )
)
