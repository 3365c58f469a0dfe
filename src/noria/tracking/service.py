"""Operations on runs. Those on experiments and lineage have modules of their own and are found here too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.database.alchemy import sa
from noria.core.errors import Invalid, NotFound
from noria.core.operations import Download, Service, operation
from noria.tracking.changes import (
    append_run_event,
    append_status_event,
    change_run,
    log_batch,
    record_run,
    start_run,
)
from noria.tracking.comparison import differences
from noria.tracking.curves import read_curve
from noria.tracking.entities import (
    Artifact,
    ArtifactPage,
    Lifecycle,
    LogBatch,
    NewRun,
    Run,
    RunChange,
    RunComparison,
    RunCounts,
    RunEnd,
    RunPage,
    RunPlace,
    RunRecord,
    RunStatus,
)
from noria.tracking.events import (
    RUN_DELETED,
    RUN_RESTORED,
    RUN_RESUMED,
)
from noria.tracking.experiments import Experiments
from noria.tracking.histories import (
    metric_items,
    metric_key,
    read_columns,
    read_page,
    wire_columns,
)
from noria.tracking.keys import known_keys
from noria.tracking.lifecycle import (
    check_new_run,
    check_source,
    end_run,
    mark_deleted,
    mark_restored,
    set_status,
)
from noria.tracking.limits import (
    MAX_STEP,
    check_artifact_path,
    check_batch,
    check_instant,
    check_title,
)
from noria.tracking.lineage import Lineage
from noria.tracking.permissions import FIND_RUNS, READ_RUNS, WRITE_RUNS
from noria.tracking.point_entities import (
    Histories,
    HistoryOrder,
    MetricList,
    MetricPage,
    RunHistory,
    RunPoints,
)
from noria.tracking.rows import (
    counts_of,
    filtered_runs,
    latest_points,
    load_run,
    readable_run,
    run_state,
)
from noria.tracking.run_keys import run_key, run_pk, run_pks
from noria.tracking.run_rows import RunRow, RunRowsPage, load_runs
from noria.tracking.search.entities import NumberedRunSearch, RunSearch
from noria.tracking.tables import run_artifacts, runs

__all__ = ["Experiments", "Lineage", "Runs"]

MAX_PAGE = 1_000
MAX_POINTS_PAGE = 10_000
MAX_COMPARED = 100
MAX_HISTORIES = 1_000

Texts = list[str]

T = TypeVar("T")


class Runs(Service):
    """Executions whose params, metrics and products are kept."""

    @operation("POST", "/projects/{project}/runs", needs=WRITE_RUNS)
    def create(self, project: str, new: NewRun) -> Run:
        """Start a run; its experiment is made if there is none of the name.

        A second request with the same id gives the run that the first one made.
        """
        check_new_run(new)
        with self.context.database.write() as connection:
            return start_run(connection, self.context, project, new)

    @operation("POST", "/projects/{project}/runs/record", needs=WRITE_RUNS)
    def record(self, project: str, record: RunRecord) -> None:
        """Keep a whole run at once, from its start to its end; sending it twice changes nothing."""
        if record.new.id is None:
            raise Invalid(
                "A run that is recorded whole needs an id", hint="Make one, so that it is kept once"
            )
        check_new_run(record.new)
        _check_end(record.end)
        with self.context.database.write() as connection:
            record_run(connection, self.context, project, record)

    @operation("GET", "/projects/{project}/runs/{run_id}", needs=READ_RUNS)
    def get(self, project: str, run_id: str) -> Run:
        """Get one run, deleted or not."""
        with self.context.database.read() as connection:
            return load_run(connection, project, run_id)

    @operation("GET", "/runs/{run_id}", needs=FIND_RUNS)
    def locate(self, run_id: str) -> RunPlace:
        """Tell where a run of whichever project belongs, deleted or not."""
        with self.context.database.read() as connection:
            return readable_run(connection, self.context.principal, run_id).place

    @operation("GET", "/projects/{project}/runs", needs=READ_RUNS)
    def list(
        self,
        project: str,
        experiment: str | None = None,
        status: RunStatus | None = None,
        parent: str | None = None,
        limit: int = 50,
        before: str | None = None,
        lifecycle: Lifecycle = Lifecycle.ACTIVE,
    ) -> RunPage:
        """List runs, newest start first, from the one that follows the run `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            query = filtered_runs(
                connection, project, experiment=experiment, status=status, parent=parent, lifecycle=lifecycle
            )
            if before is not None:
                last = run_state(connection, project, before)
                place = sa.tuple_(sa.literal(last.started_at, runs.c.started_at.type), last.key.pk)
                query = query.where(sa.tuple_(runs.c.started_at, runs.c.pk) < place)
            newest_first = query.order_by(runs.c.started_at.desc(), runs.c.pk.desc()).limit(bound + 1)
            pks = connection.execute(newest_first).scalars().all()
            items = load_runs(connection, pks[:bound])
        return RunPage(items=items, next=items[-1].id if len(pks) > bound else None)

    @operation("POST", "/projects/{project}/runs/search", needs=READ_RUNS, status=200)
    def search(self, project: str, search: RunSearch) -> RunPage:
        """Find runs by MLflow's filter grammar, in any order, page by page."""
        from noria.tracking.search.operations import find_runs  # the grammar is for those who search

        with self.context.database.read() as connection:
            return find_runs(connection, project, search)

    @operation("POST", "/runs/search", needs=FIND_RUNS, status=200)
    def search_numbers(self, search: NumberedRunSearch) -> RunRowsPage:
        """Find runs in experiments of any projects; those that the caller may not read hold none."""
        lots, following = self.numbers_by_lots(search, tuple)
        return RunRowsPage(items=[*chain.from_iterable(lots)], next=following)

    def numbers_by_lots(
        self, search: NumberedRunSearch, use: Callable[[Sequence[RunRow]], T]
    ) -> tuple[Sequence[T], str | None]:
        """Do the same for who is in this process, and hand over a lot of runs at a time.

        Parameters
        ----------
        use
            Makes something of a lot. What all of them give is answered, and where the search goes on.
        """
        from noria.tracking.search.operations import find_numbered_runs

        admit(self.context.principal, FIND_RUNS, None)
        with self.context.database.read() as connection:
            lots, following = find_numbered_runs(
                connection, search, lambda project: self.context.principal.may(READ_RUNS, project)
            )
            return [use(lot) for lot in lots], following

    @operation("GET", "/projects/{project}/run-counts", needs=READ_RUNS)
    def counts(self, project: str) -> RunCounts:
        """Count runs by experiment, status and deletion; the counts are kept, so this takes no time."""
        with self.context.database.read() as connection:
            return RunCounts(items=counts_of(connection, project_pk(connection, project)))

    @operation("POST", "/projects/{project}/runs/{run_id}/log", needs=WRITE_RUNS)
    def log(self, project: str, run_id: str, batch: LogBatch) -> None:
        """Keep metric points, params, tags, links, data sets and artifacts of a run, all or nothing."""
        check_batch(batch)
        with self.context.database.write() as connection:
            log_batch(connection, self.context, project, run_id, batch)

    @operation("POST", "/projects/{project}/runs/{run_id}/finish", needs=WRITE_RUNS, status=200)
    def finish(self, project: str, run_id: str, end: RunEnd) -> Run:
        """End a run."""
        with self.context.database.write() as connection:
            self._end(connection, project, run_id, end)
            return load_run(connection, project, run_id)

    @operation("POST", "/projects/{project}/runs/{run_id}/end", needs=WRITE_RUNS)
    def end(self, project: str, run_id: str, end: RunEnd) -> None:
        """End a run, without reading all that it holds for an answer."""
        with self.context.database.write() as connection:
            self._end(connection, project, run_id, end)

    def _end(self, connection: sa.Connection, project: str, run_id: str, end: RunEnd) -> None:
        _check_end(end)
        if end.last is not None:
            log_batch(connection, self.context, project, run_id, end.last)
        state = run_state(connection, project, run_id)
        ended_at = end.ended_at or self.context.clock.now()
        end_run(connection, state, end.status, ended_at)
        now = state._replace(status=end.status, ended_at=ended_at)
        append_status_event(connection, self.context, project, state, now)

    @operation("PATCH", "/projects/{project}/runs/{run_id}", needs=WRITE_RUNS)
    def amend(self, project: str, run_id: str, change: RunChange) -> Run:
        """Give a run another status, end or name, whichever status it has; what is left out stays."""
        if change.name is not None:
            check_title("run", change.name)
        check_instant("end", change.ended_at)
        check_source(change.source)
        with self.context.database.write() as connection:
            change_run(connection, self.context, project, run_id, change)
            return load_run(connection, project, run_id)

    @operation("POST", "/projects/{project}/runs/{run_id}/resume", needs=WRITE_RUNS, status=200)
    def resume(self, project: str, run_id: str) -> Run:
        """Let a run go on: one that has ended is running again, one that is running is left as it is."""
        with self.context.database.write() as connection:
            state = run_state(connection, project, run_id)
            if state.status is not RunStatus.RUNNING:
                set_status(connection, state, RunStatus.RUNNING, None)
                append_run_event(
                    connection, self.context, RUN_RESUMED, project, run_id, {"was": state.status}
                )
            return load_run(connection, project, run_id)

    @operation("DELETE", "/projects/{project}/runs/{run_id}", needs=WRITE_RUNS)
    def delete(self, project: str, run_id: str) -> None:
        """Mark a run as deleted; it can be read and restored until `noria gc`."""
        with self.context.database.write() as connection:
            key = run_key(connection, project, run_id)
            if mark_deleted(connection, key, self.context.clock.now()):
                append_run_event(connection, self.context, RUN_DELETED, project, run_id, {})

    @operation("POST", "/projects/{project}/runs/{run_id}/restore", needs=WRITE_RUNS, status=200)
    def restore(self, project: str, run_id: str) -> Run:
        """Make a deleted run active again."""
        with self.context.database.write() as connection:
            if mark_restored(connection, run_key(connection, project, run_id)):
                append_run_event(connection, self.context, RUN_RESTORED, project, run_id, {})
            return load_run(connection, project, run_id)

    @operation("GET", "/projects/{project}/runs/{run_id}/metrics", needs=READ_RUNS)
    def metrics(self, project: str, run_id: str) -> MetricList:
        """Get the latest point of each metric, with its step and time."""
        with self.context.database.read() as connection:
            return MetricList(items=latest_points(connection, run_pk(connection, project, run_id)))

    @operation("GET", "/projects/{project}/runs/{run_id}/history", needs=READ_RUNS)
    def history(
        self,
        project: str,
        run_id: str,
        key: str = "",
        limit: int = 1000,
        after: str | None = None,
        order: HistoryOrder = HistoryOrder.STEP,
    ) -> MetricPage:
        """List the points of one metric, in the order of step, then time, or the other way round."""
        bound = max(1, min(limit, MAX_POINTS_PAGE))
        with self.context.database.read() as connection:
            run = run_pk(connection, project, run_id)
            page = read_page(
                connection, run=run, run_id=run_id, key=key, limit=bound, after=after, order=order
            )
        return MetricPage(items=metric_items(key, page.points), next=page.next)

    @operation("GET", "/projects/{project}/runs/{run_id}/points", needs=READ_RUNS)
    def points(
        self, project: str, run_id: str, key: str = "", order: HistoryOrder = HistoryOrder.STEP
    ) -> RunPoints:
        """Get all points of one metric as columns."""
        with self.context.database.read() as connection:
            run = run_pk(connection, project, run_id)
            found = read_columns(connection, run, metric_key(connection, run, run_id, key), order)
        return RunPoints(points=wire_columns(found))

    @operation("GET", "/projects/{project}/histories", needs=READ_RUNS)
    def histories(
        self,
        project: str,
        ids: Texts | None = None,
        keys: Texts | None = None,
        max_points: int = 1000,
        start_step: int | None = None,
        end_step: int | None = None,
    ) -> Histories:
        """Get metrics of runs, each by at most `max_points` of its points, the extremes among them."""
        wanted = [(run, key) for run in dict.fromkeys(ids or []) for key in dict.fromkeys(keys or [])]
        if not 1 <= len(wanted) <= MAX_HISTORIES:
            raise Invalid(
                f"{len(wanted)} histories were asked for",
                hint=f"Give `ids` and `keys` whose numbers multiply to 1 to {MAX_HISTORIES}",
            )
        first = -MAX_STEP if start_step is None else start_step
        last = MAX_STEP if end_step is None else end_step
        bound = max(4, min(max_points, MAX_POINTS_PAGE))
        items: list[RunHistory] = []
        with self.context.database.read() as connection:
            pks = run_pks(connection, project, dict.fromkeys(run for run, _ in wanted))
            key_pks = known_keys(connection, {key for _, key in wanted})
            for run, key in wanted:
                if key in key_pks:
                    curve = read_curve(connection, pks[run], key_pks[key], bound, first=first, last=last)
                    if curve.n_points:
                        points = wire_columns(curve.points)
                        items.append(RunHistory(run_id=run, key=key, n_points=curve.n_points, points=points))
        return Histories(items=items)

    @operation("GET", "/projects/{project}/runs/compare", needs=READ_RUNS)
    def compare(self, project: str, ids: Texts | None = None) -> RunComparison:
        """Put runs side by side: only the params and metrics in which they differ."""
        wanted = list(dict.fromkeys(ids or []))
        if not 2 <= len(wanted) <= MAX_COMPARED:
            raise Invalid(
                f"{len(wanted)} runs were given to compare", hint=f"Give from 2 to {MAX_COMPARED} ids"
            )
        with self.context.database.read() as connection:
            pks = run_pks(connection, project, wanted)
            return differences(load_runs(connection, [pks[run_id] for run_id in wanted]))

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


def _select_artifacts(run: int) -> sa.Select[Any]:
    return sa.select(
        run_artifacts.c.path, run_artifacts.c.digest, run_artifacts.c.size_bytes, run_artifacts.c.at
    ).where(run_artifacts.c.run_pk == run)


def _check_end(end: RunEnd) -> None:
    if not end.status.ended:
        raise Invalid(f"A run cannot end as `{end.status}`", hint="Use `finished`, `failed` or `killed`")
    check_instant("end", end.ended_at)
    if end.last is not None:
        check_batch(end.last)
