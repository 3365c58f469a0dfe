"""Operations on experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from noria.access.projects import project_pk
from noria.core.clock import Clock
from noria.core.database.alchemy import sa
from noria.core.errors import Conflict, NotFound
from noria.core.events.log import EventType
from noria.core.operations import Service, operation
from noria.tracking.counts import count_marked
from noria.tracking.datasets import uses_in_experiment
from noria.tracking.entities import DatasetUses, Lifecycle, Tags
from noria.tracking.events import (
    EXPERIMENT_DELETED,
    EXPERIMENT_RESTORED,
    EXPERIMENT_UPDATED,
    append_event,
)
from noria.tracking.experiment_entities import Experiment, ExperimentChange, ExperimentPage, NewExperiment
from noria.tracking.experiment_rows import (
    ExperimentDeleted,
    Row,
    experiments_of,
    find_numbered_experiment,
    find_or_create_experiment,
    get_experiment,
    held_experiment,
    select_experiments,
    write_experiment_tags,
)
from noria.tracking.limits import (
    MAX_EXPERIMENT_TAG_CHARS,
    check_artifact_location,
    check_instant,
    check_tags,
    check_title,
)
from noria.tracking.permissions import FIND_RUNS, READ_RUNS, WRITE_RUNS
from noria.tracking.search.entities import ExperimentSearch, ExperimentsFound
from noria.tracking.tables import experiments, runs

MAX_PAGE = 1_000


class Experiments(Service):
    """Named groups of runs."""

    @operation("POST", "/projects/{project}/experiments", needs=WRITE_RUNS)
    def create(self, project: str, new: NewExperiment) -> Experiment:
        """Make an experiment. Its name must be free also among deleted ones."""
        check_title("experiment", new.name)
        check_tags(new.tags, MAX_EXPERIMENT_TAG_CHARS)
        check_instant("creation", new.created_at)
        check_artifact_location(new.artifact_location)
        with self.context.database.write() as connection:
            row, created = find_or_create_experiment(connection, self.context, project, new)
            if not created:
                raise _name_taken(project, row)
            return experiments_of(connection, [row])[0]

    @operation("GET", "/projects/{project}/experiments/{name}", needs=READ_RUNS)
    def get(self, project: str, name: str) -> Experiment:
        """Get an experiment by its name, deleted or not."""
        with self.context.database.read() as connection:
            return self._get(connection, project, name)

    @operation("GET", "/experiments/{number}", needs=FIND_RUNS)
    def by_number(self, number: int) -> Experiment:
        """Get an experiment of whichever project by its number, deleted or not."""
        with self.context.database.read() as connection:
            found = find_numbered_experiment(connection, number)
            if found is None or not self.context.principal.may(READ_RUNS, found["project"]):
                raise NotFound(
                    f"There is no experiment with the number {number}", hint="See `noria experiments list`"
                )
            return experiments_of(connection, [found])[0]

    @operation("GET", "/projects/{project}/experiments", needs=READ_RUNS)
    def list(
        self,
        project: str,
        limit: int = 100,
        before: int | None = None,
        lifecycle: Lifecycle = Lifecycle.ACTIVE,
    ) -> ExperimentPage:
        """List experiments, newest first, from the one made before number `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            query = (
                select_experiments()
                .where(experiments.c.project_pk == project_pk(connection, project))
                .where(*_among(lifecycle))
                .order_by(experiments.c.number.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(experiments.c.number < before)
            rows = [dict(row) for row in connection.execute(query).mappings()]
            items = experiments_of(connection, rows[:bound])
        return ExperimentPage(items=items, next=items[-1].number if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/experiments/{name}/datasets", needs=READ_RUNS)
    def datasets(self, project: str, name: str, limit: int = 1000) -> DatasetUses:
        """List the data sets that runs of an experiment read, once for each purpose."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), name)
            return DatasetUses(items=uses_in_experiment(connection, found["pk"], bound))

    @operation("POST", "/experiments/search", needs=FIND_RUNS, status=200)
    def search(self, search: ExperimentSearch) -> ExperimentsFound:
        """Find experiments of all projects that the caller may read."""
        from noria.tracking.search.operations import find_experiments  # the grammar is for those who search

        with self.context.database.read() as connection:
            return find_experiments(
                connection, search, lambda project: self.context.principal.may(READ_RUNS, project)
            )

    @operation("PATCH", "/projects/{project}/experiments/{name}", needs=WRITE_RUNS)
    def rename(self, project: str, name: str, change: ExperimentChange) -> Experiment:
        """Give an experiment another name, which must be free also among deleted ones."""
        check_title("experiment", change.name)
        with self.context.database.write() as connection:
            row = _active(self._row(connection, project, name))
            try:
                _update(connection, row, self.context.clock, name=change.name)
            except sa.exc.IntegrityError as error:
                raise _name_taken(project, {**row, "name": change.name}) from error
            self._append(connection, EXPERIMENT_UPDATED, project, row, {"name": change.name})
            return self._get(connection, project, change.name)

    @operation("POST", "/projects/{project}/experiments/{name}/tags", needs=WRITE_RUNS, status=200)
    def set_tags(self, project: str, name: str, change: Tags) -> Experiment:
        """Set tags of an experiment; null removes one."""
        check_tags(change.tags, MAX_EXPERIMENT_TAG_CHARS)
        with self.context.database.write() as connection:
            row = _active(self._row(connection, project, name))
            write_experiment_tags(connection, row["pk"], change.tags)
            _update(connection, row, self.context.clock)
            self._append(connection, EXPERIMENT_UPDATED, project, row, {"tags": sorted(change.tags)})
            return self._get(connection, project, name)

    @operation("DELETE", "/projects/{project}/experiments/{name}", needs=WRITE_RUNS)
    def delete(self, project: str, name: str) -> None:
        """Mark an experiment and its active runs as deleted; they can be read and restored until `noria gc`."""
        with self.context.database.write() as connection:
            row = held_experiment(connection, self._row(connection, project, name))
            if row["deleted_at"] is not None:
                return
            now = self.context.clock.now()
            _update(connection, row, self.context.clock, deleted_at=now)
            _mark_runs(connection, row["pk"], runs.c.deleted_at.is_(None), now)
            self._append(connection, EXPERIMENT_DELETED, project, row, {"number": row["number"]})

    @operation("POST", "/projects/{project}/experiments/{name}/restore", needs=WRITE_RUNS, status=200)
    def restore(self, project: str, name: str, every_run: bool = False) -> Experiment:
        """Make a deleted experiment active again with the runs that were deleted with it, or with every deleted run."""
        with self.context.database.write() as connection:
            row = held_experiment(connection, self._row(connection, project, name))
            if row["deleted_at"] is not None:
                _update(connection, row, self.context.clock, deleted_at=None)
                # Those that were deleted in the same moment as it, not those before.
                together = runs.c.deleted_at == row["deleted_at"]
                _mark_runs(
                    connection, row["pk"], runs.c.deleted_at.is_not(None) if every_run else together, None
                )
                self._append(connection, EXPERIMENT_RESTORED, project, row, {"number": row["number"]})
            return self._get(connection, project, name)

    def _row(self, connection: sa.Connection, project: str, name: str) -> Row:
        return get_experiment(connection, project_pk(connection, project), name)

    def _get(self, connection: sa.Connection, project: str, name: str) -> Experiment:
        return experiments_of(connection, [self._row(connection, project, name)])[0]

    def _append(
        self, connection: sa.Connection, kind: EventType, project: str, row: Row, payload: dict[str, Any]
    ) -> None:
        subject = f"experiment:{row['id']}"
        append_event(connection, self.context, kind, subject=subject, project=project, payload=payload)


def _active(row: Row) -> Row:
    if row["deleted_at"] is not None:
        raise ExperimentDeleted(row["project"], row["name"])
    return row


def _among(lifecycle: Lifecycle) -> list[sa.ColumnElement[bool]]:
    if lifecycle is Lifecycle.ALL:
        return []
    is_active = experiments.c.deleted_at.is_(None)
    return [is_active if lifecycle is Lifecycle.ACTIVE else ~is_active]


def _update(connection: sa.Connection, row: Row, clock: Clock, **values: Any) -> None:
    changed = sa.update(experiments).where(experiments.c.pk == row["pk"])
    connection.execute(changed.values(updated_at=clock.now(), **values))


def _mark_runs(
    connection: sa.Connection, experiment: int, which: sa.ColumnElement[bool], deleted_at: datetime | None
) -> None:
    """Delete some active runs of an experiment, or restore some deleted ones."""
    mark = (
        sa.update(runs)
        .where(runs.c.experiment_pk == experiment, which)
        .values(deleted_at=deleted_at)
        .returning(runs.c.status)
    )
    statuses = connection.execute(mark).scalars()
    count_marked(connection, experiment, statuses, deleted=deleted_at is not None)


def _name_taken(project: str, row: Row) -> Conflict:
    name = row["name"]
    if row["deleted_at"] is None:
        hint = "Use it, or choose another name (see `noria experiments list`)"
    else:
        hint = f"It is deleted: `noria experiments restore {name!r}`, or choose another name"
    return Conflict(f"The project `{project}` has an experiment `{name}` already", hint=hint)
