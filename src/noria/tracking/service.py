"""Operations on experiments, runs and their lineage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventType
from noria.core.operations import Download, Service, operation
from noria.tracking.batches import write_batch
from noria.tracking.comparison import differences
from noria.tracking.entities import (
    Artifact,
    ArtifactPage,
    Experiment,
    ExperimentPage,
    LineageGraph,
    LogBatch,
    MetricList,
    MetricPage,
    NewExperiment,
    NewRun,
    Run,
    RunComparison,
    RunEnd,
    RunPage,
    RunStatus,
)
from noria.tracking.events import RUN_CREATED, RUN_FINISHED, RUN_RESUMED, RUN_UPDATED
from noria.tracking.histories import read_history
from noria.tracking.lifecycle import (
    append_event,
    check_new_run,
    find_or_create_experiment,
    insert_run,
    move,
)
from noria.tracking.limits import check_artifact_path, check_batch, check_instant, check_ref, check_title
from noria.tracking.lineage import walk
from noria.tracking.permissions import READ_RUNS, WRITE_RUNS
from noria.tracking.rows import (
    Row,
    get_experiment,
    get_run,
    latest_points,
    load_run,
    load_runs,
    run_key,
    run_pk,
    select_runs,
)
from noria.tracking.tables import experiments, run_artifacts, runs

MAX_PAGE = 1_000
MAX_POINTS_PAGE = 10_000
MAX_COMPARED = 100

Ids = list[str]


class Experiments(Service):
    """Named groups of runs."""

    @operation("POST", "/projects/{project}/experiments", needs=WRITE_RUNS)
    def create(self, project: str, new: NewExperiment) -> Experiment:
        """Make an experiment."""
        check_title("experiment", new.name)
        with self.context.database.write() as connection:
            row, created = find_or_create_experiment(connection, self.context, project, new.name)
            if not created:
                raise Conflict(
                    f"The project `{project}` has an experiment `{new.name}` already",
                    hint="Use it, or choose another name (see `noria experiments list`)",
                )
        return _experiment(project, row)

    @operation("GET", "/projects/{project}/experiments/{name}", needs=READ_RUNS)
    def get(self, project: str, name: str) -> Experiment:
        """Get an experiment by its name."""
        with self.context.database.read() as connection:
            return _experiment(project, get_experiment(connection, project_pk(connection, project), name))

    @operation("GET", "/projects/{project}/experiments", needs=READ_RUNS)
    def list(self, project: str, limit: int = 100, before: int | None = None) -> ExperimentPage:
        """List experiments, newest first, from the one made before number `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            query = (
                sa.select(experiments)
                .where(experiments.c.project_pk == project_pk(connection, project))
                .order_by(experiments.c.number.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(experiments.c.number < before)
            rows = connection.execute(query).mappings().all()
        items = [_experiment(project, row) for row in rows[:bound]]
        return ExperimentPage(items=items, next=items[-1].number if len(rows) > bound else None)


class Runs(Service):
    """Executions whose params, metrics and products are kept."""

    @operation("POST", "/projects/{project}/runs", needs=WRITE_RUNS)
    def create(self, project: str, new: NewRun) -> Run:
        """Start a run; its experiment is made if there is none of the name.

        A second request with the same id gives the run that the first one made.
        """
        check_new_run(new)
        with self.context.database.write() as connection:
            inserted = insert_run(connection, self.context, project, new)
            if inserted is None:
                return load_run(connection, project, new.id or "")
            key, made = inserted
            written = LogBatch(params=new.params, tags=dict(new.tags))
            write_batch(
                connection, self.context.clock, project=project, run=key, run_id=made.id, batch=written
            )
            payload = {"experiment": made.experiment, "name": made.name, "parent": made.parent}
            self._append(connection, RUN_CREATED, project, made.id, payload)
        return msgspec.structs.replace(made, params=new.params, tags=new.tags)

    @operation("GET", "/projects/{project}/runs/{run_id}", needs=READ_RUNS)
    def get(self, project: str, run_id: str) -> Run:
        """Get one run."""
        with self.context.database.read() as connection:
            return load_run(connection, project, run_id)

    @operation("GET", "/projects/{project}/runs", needs=READ_RUNS)
    def list(
        self,
        project: str,
        experiment: str | None = None,
        status: RunStatus | None = None,
        parent: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> RunPage:
        """List runs, newest start first, from the one that follows the run `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            query = _filtered(connection, project, experiment, status, parent)
            if before is not None:
                last = get_run(connection, project, before)
                place = sa.tuple_(sa.literal(last["started_at"], runs.c.started_at.type), last["pk"])
                query = query.where(sa.tuple_(runs.c.started_at, runs.c.pk) < place)
            newest_first = query.order_by(runs.c.started_at.desc(), runs.c.pk.desc()).limit(bound + 1)
            rows = connection.execute(newest_first).mappings().all()
            items = load_runs(connection, project, rows[:bound])
        return RunPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("POST", "/projects/{project}/runs/{run_id}/log", needs=WRITE_RUNS)
    def log(self, project: str, run_id: str, batch: LogBatch) -> None:
        """Keep metric points, params, tags, links and artifacts of a run, all or nothing."""
        check_batch(batch)
        with self.context.database.write() as connection:
            self._write(connection, project, run_id, batch)

    @operation("POST", "/projects/{project}/runs/{run_id}/finish", needs=WRITE_RUNS, status=200)
    def finish(self, project: str, run_id: str, end: RunEnd) -> Run:
        """End a run."""
        if not end.status.ended:
            raise Invalid(f"A run cannot end as `{end.status}`", hint="Use `finished`, `failed` or `killed`")
        check_instant("end", end.ended_at)
        check_batch(end.last or LogBatch())
        with self.context.database.write() as connection:
            if end.last is not None:
                self._write(connection, project, run_id, end.last)
            row = get_run(connection, project, run_id)
            ended_at = end.ended_at or self.context.clock.now()
            move(connection, row, end.status, ended_at)
            duration_s = (ended_at - row["started_at"]).total_seconds()
            self._append(
                connection, RUN_FINISHED, project, run_id, {"status": end.status, "duration_s": duration_s}
            )
            return load_run(connection, project, run_id)

    @operation("POST", "/projects/{project}/runs/{run_id}/resume", needs=WRITE_RUNS, status=200)
    def resume(self, project: str, run_id: str) -> Run:
        """Let a run go on: one that has ended is running again, one that is running is left as it is."""
        with self.context.database.write() as connection:
            row = get_run(connection, project, run_id)
            if row["status"] != RunStatus.RUNNING:
                move(connection, row, RunStatus.RUNNING, None)
                self._append(connection, RUN_RESUMED, project, run_id, {"was": row["status"]})
            return load_run(connection, project, run_id)

    @operation("GET", "/projects/{project}/runs/{run_id}/metrics", needs=READ_RUNS)
    def metrics(self, project: str, run_id: str) -> MetricList:
        """Get the latest point of each metric, with its step and time."""
        with self.context.database.read() as connection:
            return MetricList(items=latest_points(connection, run_pk(connection, project, run_id)))

    @operation("GET", "/projects/{project}/runs/{run_id}/history", needs=READ_RUNS)
    def history(
        self, project: str, run_id: str, key: str = "", limit: int = 1000, after: str | None = None
    ) -> MetricPage:
        """List the points of one metric in the order of step, then time."""
        bound = max(1, min(limit, MAX_POINTS_PAGE))
        with self.context.database.read() as connection:
            return read_history(
                connection,
                run=run_pk(connection, project, run_id),
                run_id=run_id,
                key=key,
                limit=bound,
                after=after,
            )

    @operation("GET", "/projects/{project}/runs/compare", needs=READ_RUNS)
    def compare(self, project: str, ids: Ids | None = None) -> RunComparison:
        """Put runs side by side: only the params and metrics in which they differ."""
        wanted = list(dict.fromkeys(ids or []))
        if not 2 <= len(wanted) <= MAX_COMPARED:
            raise Invalid(
                f"{len(wanted)} runs were given to compare", hint=f"Give from 2 to {MAX_COMPARED} ids"
            )
        with self.context.database.read() as connection:
            rows = [get_run(connection, project, run_id) for run_id in wanted]
            return differences(load_runs(connection, project, rows))

    @operation("GET", "/projects/{project}/runs/{run_id}/artifacts", needs=READ_RUNS)
    def artifacts(self, project: str, run_id: str, limit: int = 100, after: str = "") -> ArtifactPage:
        """List artifacts in the order of their paths, from the one that follows `after`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            query = (
                _select_artifacts(run_pk(connection, project, run_id))
                .where(run_artifacts.c.path > after)
                .order_by(run_artifacts.c.path)
                .limit(bound + 1)
            )
            rows = connection.execute(query).mappings().all()
        items = [Artifact(**row) for row in rows[:bound]]
        return ArtifactPage(items=items, next=items[-1].path if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/runs/{run_id}/artifact", needs=READ_RUNS)
    def artifact(self, project: str, run_id: str, path: str = "") -> Download:
        """Read one artifact."""
        check_artifact_path(path)
        with self.context.database.read() as connection:
            query = _select_artifacts(run_pk(connection, project, run_id))
            row = connection.execute(query.where(run_artifacts.c.path == path)).mappings().one_or_none()
        if row is None:
            raise NotFound(
                f"The run `{run_id}` has no artifact `{path}`", hint=f"See `noria runs show {run_id}`"
            )
        return Download(
            chunks=self.context.objects.open(row["digest"]),
            size_bytes=row["size_bytes"],
            filename=path.rpartition("/")[2],
        )

    def _write(self, connection: sa.Connection, project: str, run_id: str, batch: LogBatch) -> None:
        run = run_key(connection, project, run_id)
        write_batch(connection, self.context.clock, project=project, run=run, run_id=run_id, batch=batch)
        payload = _names_of(batch)
        if payload:
            self._append(connection, RUN_UPDATED, project, run_id, payload)

    def _append(
        self, connection: sa.Connection, kind: EventType, project: str, run_id: str, payload: dict[str, Any]
    ) -> None:
        subject = f"run:{run_id}"
        append_event(connection, self.context, kind, subject=subject, project=project, payload=payload)


class Lineage(Service):
    """What things came from, and what came of them, by what runs read and made."""

    @operation("GET", "/projects/{project}/lineage/upstream", needs=READ_RUNS)
    def upstream(self, project: str, ref: str = "", depth: int = 20) -> LineageGraph:
        """Walk from `ref` (or `run:<id>`) to what it was made from."""
        with self.context.database.read() as connection:
            found = project_pk(connection, project)
            return walk(connection, found, check_ref(ref), depth=depth, downstream=False)

    @operation("GET", "/projects/{project}/lineage/downstream", needs=READ_RUNS)
    def downstream(self, project: str, ref: str = "", depth: int = 20) -> LineageGraph:
        """Walk from `ref` (or `run:<id>`) to what was made from it."""
        with self.context.database.read() as connection:
            found = project_pk(connection, project)
            return walk(connection, found, check_ref(ref), depth=depth, downstream=True)


def _experiment(project: str, row: Row | dict[str, Any]) -> Experiment:
    return Experiment(
        id=row["id"],
        project=project,
        name=row["name"],
        number=row["number"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _filtered(
    connection: sa.Connection,
    project: str,
    experiment: str | None,
    status: RunStatus | None,
    parent: str | None,
) -> sa.Select[Any]:
    owner = project_pk(connection, project)
    query = select_runs()
    if experiment is not None:
        query = query.where(runs.c.experiment_pk == get_experiment(connection, owner, experiment)["pk"])
    else:
        query = query.where(runs.c.project_pk == owner)
    if status is not None:
        query = query.where(runs.c.status == status)
    if parent is not None:
        query = query.where(runs.c.parent_pk == run_pk(connection, project, parent))
    return query


def _names_of(batch: LogBatch) -> dict[str, Any]:
    """List what a batch changes besides metric points, for its event: names only."""
    named: dict[str, Iterable[str]] = {
        "params": batch.params,
        "tags": batch.tags,
        "inputs": (link.ref for link in batch.inputs),
        "outputs": (link.ref for link in batch.outputs),
        "artifacts": batch.artifacts,
    }
    listed = {kind: list(names) for kind, names in named.items()}
    return {kind: names for kind, names in listed.items() if names}


def _select_artifacts(run: int) -> sa.Select[Any]:
    return sa.select(
        run_artifacts.c.path, run_artifacts.c.digest, run_artifacts.c.size_bytes, run_artifacts.c.at
    ).where(run_artifacts.c.run_pk == run)
