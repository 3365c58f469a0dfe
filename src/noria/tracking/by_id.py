"""Operations on runs that are named by their id alone, and on experiments by their number.

For programs that know no projects. Ids are unique in a workspace, so the project is found within the same transaction,
and the caller's permission is asked for there: what may not be read does not exist.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.admission import admit
from noria.core.database.prepared import Prepared
from noria.core.errors import NotFound
from noria.core.ids import is_id
from noria.core.operations import Service, operation
from noria.core.permissions import Principal
from noria.tracking.changes import change_found, log_to, start_run
from noria.tracking.entities import LogBatch, NewRun, RunChange, RunHead, RunPlace
from noria.tracking.experiment_rows import find_numbered_experiment
from noria.tracking.lifecycle import check_new_run, check_source
from noria.tracking.limits import check_batch, check_instant, check_title, shorten
from noria.tracking.permissions import FIND_RUNS, READ_RUNS, WRITE_RUNS
from noria.tracking.rows import FoundRun, find_run
from noria.tracking.run_keys import RunDeleted, RunKey
from noria.tracking.tables import runs


class RunsById(Service):
    """Executions of whichever project."""

    @operation("POST", "/experiments/{number}/runs", needs=FIND_RUNS)
    def start(self, number: int, new: NewRun) -> RunHead:
        """Start a run in the experiment of a number, whatever experiment the run itself names."""
        with self.context.database.write() as connection:
            experiment = find_numbered_experiment(connection, number)
            if experiment is None or not self.context.principal.may(READ_RUNS, experiment["project"]):
                raise NotFound(
                    f"There is no experiment with the number {number}", hint="See `noria experiments list`"
                )
            project: str = experiment["project"]
            admit(self.context.principal, WRITE_RUNS, project)
            placed = msgspec.structs.replace(new, experiment=experiment["name"])
            check_new_run(placed)
            made = start_run(connection, self.context, project, placed, experiment)
        return RunHead(
            place=RunPlace(
                run_id=made.id,
                project=project,
                experiment=made.experiment,
                experiment_number=number,
                artifact_location=experiment["artifact_location"],
            ),
            name=made.name,
            status=made.status,
            started_at=made.started_at,
            ended_at=made.ended_at,
            author=made.author,
        )

    @operation("POST", "/runs/{run_id}/log", needs=FIND_RUNS)
    def log(self, run_id: str, batch: LogBatch) -> None:
        """Keep metric points, params, tags, links, data sets and artifacts of a run, all or nothing."""
        check_batch(batch)
        with self.context.database.write() as connection:
            # Only what logging needs: a client that logs point by point waits for each column of the run.
            found = _find_key(connection, run_id)
            if found is None or not self.context.principal.may(READ_RUNS, found[0]):
                raise _no_run(run_id)
            project, key = found
            admit(self.context.principal, WRITE_RUNS, project)
            if key.deleted:
                raise RunDeleted(run_id)
            log_to(connection, self.context, project, run_id, key, batch)

    @operation("PATCH", "/runs/{run_id}", needs=FIND_RUNS)
    def amend(self, run_id: str, change: RunChange) -> RunHead:
        """Give a run another status, end or name, whichever status it has; what is left out stays."""
        if change.name is not None:
            check_title("run", change.name)
        check_instant("end", change.ended_at)
        check_source(change.source)
        with self.context.database.write() as connection:
            place, before = _writable_run(connection, self.context.principal, run_id)
            state = change_found(connection, self.context, place.project, before, change)
        return RunHead(
            place=place,
            name=state.name,
            status=state.status,
            started_at=state.started_at,
            ended_at=state.ended_at,
            author=state.author,
        )


def _writable_run(connection: sa.Connection, caller: Principal, run_id: str) -> FoundRun:
    """Find a run that the caller may write to.

    Raises
    ------
    NotFound
        If there is none of this id that the caller may read.
    Forbidden
        If the caller may read it only.
    RunDeleted
        If it was deleted.
    """
    found = find_run(connection, run_id)
    if found is None or not caller.may(READ_RUNS, found.place.project):
        raise _no_run(run_id)
    admit(caller, WRITE_RUNS, found.place.project)
    if found.state.key.deleted:
        raise RunDeleted(run_id)
    return found


def _find_key(connection: sa.Connection, run_id: str) -> tuple[str, RunKey] | None:
    """Find a run, deleted or not, and give its project's name and what its values repeat."""
    row = _FIND_KEY.first(connection, {"run_id": run_id}) if is_id(run_id) else None
    if row is None:
        return None
    project, pk, experiment, deleted_at = row
    return project, RunKey(pk, experiment, deleted_at is not None)


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"There is no run `{shorten(run_id)}`", hint="See `noria runs list`")


_FIND_KEY = Prepared(
    sa.select(projects.c.name, runs.c.pk, runs.c.experiment_pk, runs.c.deleted_at)
    .join(projects, projects.c.pk == runs.c.project_pk)
    .where(runs.c.id == sa.bindparam("run_id"))
)
