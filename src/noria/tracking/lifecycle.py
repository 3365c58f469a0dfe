"""Start, end and resume runs; find experiments or make them."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.context import Context
from noria.core.database.engine import upsertable
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict, Invalid
from noria.core.events.log import EventType, append
from noria.core.ids import is_id, new_id
from noria.tracking.batches import RunKey
from noria.tracking.entities import ALLOWED_MOVES, NewRun, Run, RunStatus
from noria.tracking.events import EXPERIMENT_CREATED
from noria.tracking.limits import check_instant, check_length, check_params, check_tags, check_title, shorten
from noria.tracking.rows import Row, find_experiment, run_pk
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
    if new.source is not None:
        for text in (new.source.git_commit, new.source.command, new.source.python, new.source.host):
            check_length("run's source", text or "", MAX_SOURCE_CHARS)


def insert_run(
    connection: sa.Connection, context: Context, project: str, new: NewRun
) -> tuple[RunKey, Run] | None:
    """Insert a run, without params and tags, and give its integer key and itself.

    None when there is a run of the same id already, from an earlier request.
    """
    experiment, _ = find_or_create_experiment(connection, context, project, new.experiment)
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
        "status": made.status,
        "started_at": made.started_at,
        "author": made.author,
        "source": made.source,
    }
    key = connection.execute(_insert_run(connection.dialect.name), values).scalar_one_or_none()
    if key is None:
        return None
    return RunKey(pk=key, experiment=experiment["pk"], started_at=to_micros(made.started_at)), made


@functools.cache
def _insert_run(dialect: str) -> sa.sql.dml.ReturningInsert[int]:
    return upsertable(dialect, runs).on_conflict_do_nothing(index_elements=["id"]).returning(runs.c.pk)


def _author(caller: str, claimed: str | None) -> str:
    # A signed-in caller is who the token says; only the folder's owner may tell a name.
    return claimed or caller if caller == "local" else caller


def find_or_create_experiment(
    connection: sa.Connection, context: Context, project: str, name: str
) -> tuple[dict[str, Any], bool]:
    """Give the row of an experiment, and whether it was made now."""
    owner = project_pk(connection, project)
    found = find_experiment(connection, owner, name)
    if found is None and connection.dialect.name == "postgresql":
        # The next number is read before it is written; makers of experiments queue here until the commit.
        connection.execute(sa.text("lock table experiments in share row exclusive mode"))
        found = find_experiment(connection, owner, name)
    if found is not None:
        return {**found, "project_pk": owner}, False
    return _create_experiment(connection, context, project, owner, name), True


def _create_experiment(
    connection: sa.Connection, context: Context, project: str, owner: int, name: str
) -> dict[str, Any]:
    last = sa.select(sa.func.coalesce(sa.func.max(experiments.c.number), -1))
    number = connection.execute(last).scalar_one() + 1
    values = {
        "id": new_id(),
        "project_pk": owner,
        "name": name,
        "number": number,
        "created_at": context.clock.now(),
        "updated_at": context.clock.now(),
    }
    inserted = connection.execute(sa.insert(experiments).values(**values).returning(experiments.c.pk))
    append_event(
        connection,
        context,
        EXPERIMENT_CREATED,
        subject=f"experiment:{values['id']}",
        project=project,
        payload={"number": number},
    )
    return {**values, "pk": inserted.scalar_one()}


def move(connection: sa.Connection, row: Row, status: RunStatus, ended_at: datetime | None) -> None:
    """Give a run another status.

    Raises
    ------
    RunStatusConflict
        If the status that it has does not allow it.
    Invalid
        If it would end before it started.
    """
    old = RunStatus(row["status"])
    if status not in ALLOWED_MOVES[old]:
        raise RunStatusConflict(row["id"], old=old, new=status)
    if ended_at is not None and ended_at < row["started_at"]:
        raise Invalid(
            f"The run `{row['id']}` cannot end at {ended_at.isoformat()}:"
            f" it started at {row['started_at'].isoformat()}",
            hint="Leave `ended_at` out for now",
        )
    values = {"run": row["pk"], "old": old, "new": status, "end": ended_at}
    changed = connection.execute(_MOVE, values)
    if changed.rowcount != 1:  # another writer moved it since it was read
        raise RunStatusConflict(row["id"], old=_status_now(connection, row["pk"]), new=status)


_MOVE = (
    sa.update(runs)
    .where(runs.c.pk == sa.bindparam("run"))
    .where(runs.c.status == sa.bindparam("old"))
    .values(status=sa.bindparam("new"), ended_at=sa.bindparam("end"))
)


def _status_now(connection: sa.Connection, run: int) -> RunStatus:
    return RunStatus(connection.execute(sa.select(runs.c.status).where(runs.c.pk == run)).scalar_one())


def append_event(
    connection: sa.Connection,
    context: Context,
    kind: EventType,
    *,
    subject: str,
    project: str,
    payload: dict[str, Any],
) -> None:
    """Append an event of the context's caller."""
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=subject,
        project=project,
        payload=payload,
    )
