"""Rows of batch runs and named batches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.context import Context
from noria.core.errors import NotFound, unknown_name
from noria.core.events.log import EventType, append
from noria.serving.batch.entities import Batch, BatchRun, BatchStatus
from noria.serving.batch.slot_entities import Slot
from noria.serving.batch.tables import batch_runs, batches

_OF_RUN = [
    column for column in batch_runs.c if column.name not in ("pk", "project_pk", "batch_pk", "identity")
]
_OF_BATCH = [column for column in batches.c if column.name not in ("pk", "project_pk")]

_SELECT_RUN = (
    sa.select(*_OF_RUN, projects.c.name.label("project"), batches.c.name.label("batch"))
    .join(projects, projects.c.pk == batch_runs.c.project_pk)
    .outerjoin(batches, batches.c.pk == batch_runs.c.batch_pk)
)
_SELECT_BATCH = sa.select(*_OF_BATCH, projects.c.name.label("project")).join(
    projects, projects.c.pk == batches.c.project_pk
)


class BatchRunNotFound(NotFound):
    """No batch run has this id."""

    code = "batch_run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no batch run `{run_id[:64]}`", hint="See `noria batches runs`")


def select_runs() -> sa.Select[Any]:
    """Select what a `BatchRun` is made of."""
    return _SELECT_RUN


def to_run(row: Any) -> BatchRun:
    """Make a run of its row."""
    slot = None if row["slot"] is None else Slot(row["slot"])
    return BatchRun(**{**row, "status": BatchStatus(row["status"]), "slot": slot})


def load_run(connection: sa.Connection, project: str, run_id: str) -> BatchRun:
    """Read one run.

    Raises
    ------
    BatchRunNotFound
        If there is none of this id.
    """
    owner = project_pk(connection, project)
    query = _SELECT_RUN.where(batch_runs.c.id == run_id, batch_runs.c.project_pk == owner)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise BatchRunNotFound(run_id)
    return to_run(row)


def change_run(connection: sa.Connection, run_id: str, seen: int, **values: Any) -> bool:
    """Change a run as long as the attempt `seen` is its newest; False where a later one took over."""
    changed = connection.execute(
        sa.update(batch_runs).where(batch_runs.c.id == run_id, batch_runs.c.attempt == seen).values(**values)
    )
    return changed.rowcount == 1


def to_batch(row: Any) -> Batch:
    """Make a batch of its row."""
    pointed = None if row["pointed"] is None else Slot(row["pointed"])
    return Batch(**{**row, "live": Slot(row["live"]), "pointed": pointed})


def select_batches() -> sa.Select[Any]:
    """Select what a `Batch` is made of."""
    return _SELECT_BATCH


def find_batch(
    connection: sa.Connection, project: str, name: str, *, lock: bool = False
) -> tuple[int, Batch] | None:
    """Read a batch and its key, or None if there is none of this name."""
    query = _SELECT_BATCH.add_columns(batches.c.pk).where(
        batches.c.project_pk == project_pk(connection, project), batches.c.name == name
    )
    if lock:
        query = query.with_for_update(of=batches)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    values = dict(row)
    return values.pop("pk"), to_batch(values)


def load_batch(
    connection: sa.Connection, project: str, name: str, *, lock: bool = False
) -> tuple[int, Batch]:
    """Read a batch and its key.

    Raises
    ------
    NotFound
        With the near name.
    """
    found = find_batch(connection, project, name, lock=lock)
    if found is None:
        owner = project_pk(connection, project)
        known = connection.execute(sa.select(batches.c.name).where(batches.c.project_pk == owner).limit(1000))
        raise unknown_name("batch", name, known.scalars(), see="noria batches list")
    return found


def change_batch(connection: sa.Connection, key: int, batch: Batch, **values: Any) -> None:
    """Change a batch, whose row is locked."""
    connection.execute(
        sa.update(batches).where(batches.c.pk == key).values(revision=batch.revision + 1, **values)
    )


def tell(
    connection: sa.Connection,
    context: Context,
    kind: EventType,
    project: str,
    subject: str,
    payload: dict[str, Any],
) -> None:
    """Append an event."""
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=subject,
        project=project,
        payload=payload,
    )
