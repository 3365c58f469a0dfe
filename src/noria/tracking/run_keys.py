"""Find a run by its id, with what the rows of its values repeat."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.core.errors import Conflict, NotFound
from noria.core.ids import is_id
from noria.tracking.limits import shorten
from noria.tracking.tables import runs


class RunNotFound(NotFound):
    """The project has no run of this id."""

    code = "run_not_found"

    def __init__(self, project: str, run_id: str) -> None:
        super().__init__(
            f"The project `{project}` has no run `{shorten(run_id)}`",
            hint="See `noria runs list`",
            details={"project": project, "run_id": run_id},
        )


class RunDeleted(Conflict):
    """The run was deleted: it can be read and restored, and nothing else."""

    code = "run_deleted"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The run `{run_id}` is deleted",
            hint=f"Restore it with `noria runs restore {run_id}`",
            details={"run_id": run_id},
        )


class RunKey(msgspec.Struct, frozen=True):
    """What rows of a run's values repeat.

    Attributes
    ----------
    pk, experiment
        Integer keys of the run and of its experiment.
    deleted
        Whether it was deleted; then nothing is logged any more.
    """

    pk: int
    experiment: int
    deleted: bool = False


def run_key(connection: sa.Connection, project: str, run_id: str) -> RunKey:
    """Get what the values of a run repeat.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    row = _RUN_KEY.first(connection, {"run_id": run_id, "project": project}) if is_id(run_id) else None
    if row is None:
        raise no_run(connection, project, run_id)
    pk, experiment, deleted_at = row
    return RunKey(pk, experiment, deleted_at is not None)


def writable_run(connection: sa.Connection, project: str, run_id: str) -> RunKey:
    """Get what the values of a run repeat, to write some.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    RunDeleted
        If it was deleted.
    """
    found = run_key(connection, project, run_id)
    if found.deleted:
        raise RunDeleted(run_id)
    return found


def run_pk(connection: sa.Connection, project: str, run_id: str) -> int:
    """Get the integer key of one run.

    Raises
    ------
    RunNotFound
        If the project has none of this id.
    """
    return run_key(connection, project, run_id).pk


def run_pks(connection: sa.Connection, project: str, run_ids: Iterable[str]) -> dict[str, int]:
    """Get the integer keys of runs.

    Raises
    ------
    RunNotFound
        If the project lacks one of them.
    """
    return {run_id: run_pk(connection, project, run_id) for run_id in run_ids}


def no_run(connection: sa.Connection, project: str, run_id: str) -> RunNotFound:
    """Make the error that there is no such run, or raise the one that there is no such project."""
    project_pk(connection, project)
    return RunNotFound(project, run_id)


_RUN_KEY = Prepared(
    lambda _: (
        sa.select(runs.c.pk, runs.c.experiment_pk, runs.c.deleted_at)
        .join(projects, projects.c.pk == runs.c.project_pk)
        .where(runs.c.id == sa.bindparam("run_id"))
        .where(projects.c.name == sa.bindparam("project"))
    )
)
