"""Operations on traces."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.database.engine import upsertable
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import append
from noria.core.operations import Service, operation
from noria.tracking.tables import runs
from noria.tracking.traces.conventions import NAME_TAG
from noria.tracking.traces.correlation import SMOOTHING, npmi
from noria.tracking.traces.deletion import delete_traces
from noria.tracking.traces.entities import (
    NewTrace,
    SpanBatch,
    SpansKept,
    Trace,
    TraceDeletion,
    TraceEnd,
    TraceIds,
    TraceList,
    TracePage,
    TracePlace,
    TracePrompts,
    TraceRunLinks,
    TracesDeleted,
    TraceSearch,
    TraceTags,
)
from noria.tracking.traces.events import TRACES_DELETED
from noria.tracking.traces.fields import TRACES
from noria.tracking.traces.limits import (
    MAX_FOUND,
    MAX_KEY_CHARS,
    MAX_LINKED,
    MAX_VALUE_CHARS,
    check_count,
    check_new_trace,
    check_spans,
    check_tag,
    check_trace_id,
)
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES
from noria.tracking.traces.places import experiment_in, place_of, readable, trace_pk
from noria.tracking.traces.reading import keys_of, load_traces
from noria.tracking.traces.recording import end, keep_spans, kept_name, record
from noria.tracking.traces.rows import TraceRow, held_row, update_row
from noria.tracking.traces.searching import matching, read_query, search
from noria.tracking.traces.statistic_entities import (
    Correlation,
    CorrelationQuery,
    StatisticQuery,
    Statistics,
)
from noria.tracking.traces.statistics import compute
from noria.tracking.traces.tables import TAG, trace_prompts, trace_runs
from noria.tracking.traces.values import remove_value, set_many

MAX_PAGE = 1_000


class Traces(Service):
    """What programs did in one request each, span by span."""

    @operation("POST", "/projects/{project}/traces/spans", needs=WRITE_TRACES, status=200)
    def keep_spans(self, project: str, batch: SpanBatch) -> SpansKept:
        """Keep spans of any number of traces, all or nothing; traces that are not there are made.

        A span that is sent again replaces the one that is there.
        """
        check_spans(batch)
        with self.context.database.write() as connection:
            ended = keep_spans(connection, project, batch)
        return SpansKept(n_spans=len(batch.spans), ended_traces=ended)

    @operation("POST", "/projects/{project}/traces", needs=WRITE_TRACES)
    def record(self, project: str, new: NewTrace) -> Trace:
        """Keep what a program tells of a trace as a whole; its spans come by themselves, before or after."""
        check_new_trace(new)
        with self.context.database.write() as connection:
            key = record(connection, self.context.clock, project, new)
            return load_traces(connection, [key])[0]

    @operation("POST", "/projects/{project}/traces/{trace_id}/end", needs=WRITE_TRACES, status=200)
    def end(self, project: str, trace_id: str, told: TraceEnd) -> Trace:
        """Close a trace that was told of when it began."""
        with self.context.database.write() as connection:
            row = held_row(connection, project, trace_id)
            end(connection, row, told)
            return load_traces(connection, [row.pk])[0]

    @operation("GET", "/projects/{project}/traces/{trace_id}", needs=READ_TRACES)
    def get(self, project: str, trace_id: str, spans: bool = True) -> Trace:
        """Get one trace, with its spans unless they are not wanted."""
        with self.context.database.read() as connection:
            return load_traces(connection, [trace_pk(connection, project, trace_id)], spans=spans)[0]

    @operation("GET", "/traces/{trace_id}/place", needs=FIND_TRACES)
    def locate(self, trace_id: str) -> TracePlace:
        """Find the project and experiment of a trace that the caller may read."""
        with self.context.database.read() as connection:
            return place_of(connection, self.context.principal, trace_id)

    @operation("POST", "/traces/find", needs=FIND_TRACES, status=200)
    def find(self, wanted: TraceIds) -> TraceList:
        """Get traces by their ids, in the order asked for; those that the caller may not read are left out."""
        check_count("ids", wanted.ids, MAX_FOUND)
        with self.context.database.read() as connection:
            keys = self._readable_keys(connection, wanted)
            return TraceList(items=load_traces(connection, keys, spans=wanted.spans))

    @operation("POST", "/traces/search", needs=FIND_TRACES, status=200)
    def search(self, wanted: TraceSearch) -> TracePage:
        """Find traces of experiments by a filter, without their spans; newest first unless asked otherwise."""
        query = read_query(wanted.filter, wanted.order_by)
        bound = max(1, min(wanted.limit, MAX_PAGE))
        with self.context.database.read() as connection:
            places = readable(connection, self.context.principal, wanted.experiments)
            found = search(connection, places, query, bound, wanted.after)
            return TracePage(items=load_traces(connection, found.keys), next=found.next)

    @operation("POST", "/traces/statistics", needs=FIND_TRACES, status=200)
    def statistics(self, wanted: StatisticQuery) -> Statistics:
        """Compute figures on traces, spans or assessments, in groups."""
        with self.context.database.read() as connection:
            places = readable(connection, self.context.principal, wanted.experiments)
            return Statistics(items=compute(connection, places, wanted))

    @operation("POST", "/traces/correlation", needs=FIND_TRACES, status=200)
    def correlation(self, wanted: CorrelationQuery) -> Correlation:
        """Tell how often two filters find the same traces."""
        base = TRACES.parse_filter(wanted.base)
        first, second = (TRACES.parse_filter(text) for text in (wanted.first, wanted.second))
        with self.context.database.read() as connection:
            places = readable(connection, self.context.principal, wanted.experiments)
            every = matching(connection, places, base)
            found_first = matching(connection, places, (*base, *first))
            found_second = matching(connection, places, (*base, *second))
        counts = (len(found_first & found_second), len(found_first), len(found_second), len(every))
        return Correlation(
            npmi=npmi(*counts),
            npmi_smoothed=npmi(*counts, smoothing=SMOOTHING),
            n_both=counts[0],
            n_first=counts[1],
            n_second=counts[2],
            n_all=counts[3],
        )

    @operation("POST", "/projects/{project}/traces/delete", needs=WRITE_TRACES, status=200)
    def delete(self, project: str, wanted: TraceDeletion) -> TracesDeleted:
        """Delete traces of an experiment for good, with their spans and assessments."""
        if not wanted.ids and wanted.started_before is None:
            raise Invalid("Neither ids nor a time were given", hint="Say which traces shall go")
        if wanted.limit is not None and wanted.limit < 1:
            raise Invalid(f"At most {wanted.limit} traces cannot go", hint="Leave the limit out for all")
        with self.context.database.write() as connection:
            place = experiment_in(connection, project, wanted.experiment)
            n_traces = delete_traces(connection, place, wanted)
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=TRACES_DELETED,
                subject=f"experiment-number:{place.number}",
                project=project,
                payload={"n_traces": n_traces},
            )
        return TracesDeleted(n_traces=n_traces)

    @operation("PATCH", "/projects/{project}/traces/{trace_id}/tags", needs=WRITE_TRACES)
    def set_tags(self, project: str, trace_id: str, changed: TraceTags) -> None:
        """Set tags of a trace, or remove them."""
        for key, value in changed.tags.items():
            check_tag(key, value)
        with self.context.database.write() as connection:
            row = held_row(connection, project, trace_id)
            kept = {key: value[:MAX_VALUE_CHARS] for key, value in changed.tags.items() if value is not None}
            name = kept.pop(NAME_TAG, None)
            if name is not None:
                row.name = kept_name(name)
            set_many(connection, [(row, TAG, kept)])
            for key in (key for key, value in changed.tags.items() if value is None):
                _remove_tag(connection, row, key)
            update_row(connection, row)

    @operation("POST", "/projects/{project}/traces/link", needs=WRITE_TRACES, status=200)
    def link_run(self, project: str, links: TraceRunLinks) -> None:
        """Say that traces have to do with a run; they may arrive later than this."""
        check_count("traces", links.trace_ids, MAX_LINKED)
        for trace_id in links.trace_ids:
            check_trace_id(trace_id)
        with self.context.database.write() as connection:
            run = _run_of(connection, project, links.run_id)
            insert = upsertable(connection.dialect.name, trace_runs).on_conflict_do_nothing()
            rows = [{"run_pk": run, "trace_id": trace_id} for trace_id in sorted(set(links.trace_ids))]
            if rows:
                connection.execute(insert, rows)

    @operation("POST", "/projects/{project}/traces/{trace_id}/prompts", needs=WRITE_TRACES, status=200)
    def link_prompts(self, project: str, trace_id: str, used: TracePrompts) -> None:
        """Say which prompts a trace used."""
        check_count("prompts", used.prompts, MAX_LINKED)
        for prompt in used.prompts:
            if len(prompt) > 2 * MAX_KEY_CHARS:
                raise Invalid(f"`{prompt[:60]}…` is too long for a prompt", hint="Write `name/version`")
        with self.context.database.write() as connection:
            trace = held_row(connection, project, trace_id).pk
            insert = upsertable(connection.dialect.name, trace_prompts).on_conflict_do_nothing()
            rows = [{"trace_pk": trace, "prompt": prompt} for prompt in sorted(set(used.prompts))]
            if rows:
                connection.execute(insert, rows)

    def _readable_keys(self, connection: sa.Connection, wanted: TraceIds) -> Sequence[int]:
        caller = self.context.principal
        numbers = None if wanted.experiments is None else set(wanted.experiments)
        found = {
            trace_id: key
            for key, trace_id, number, project in keys_of(connection, wanted.ids)
            if caller.may(READ_TRACES, project) and (numbers is None or number in numbers)
        }
        return [found[trace_id] for trace_id in dict.fromkeys(wanted.ids) if trace_id in found]


class TagMissing(NotFound):
    """The trace has no such tag."""

    code = "tag_missing"


def _remove_tag(connection: sa.Connection, row: TraceRow, key: str) -> None:
    was_there = row.name is not None if key == NAME_TAG else remove_value(connection, row.pk, TAG, key)
    if not was_there:
        raise TagMissing(f"No trace tag with key '{key}' for trace with ID '{row.id}'")
    if key == NAME_TAG:
        row.name = None


def _run_of(connection: sa.Connection, project: str, run_id: str) -> int:
    owner = project_pk(connection, project)
    query = sa.select(runs.c.pk, runs.c.deleted_at).where(runs.c.id == run_id, runs.c.project_pk == owner)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"The project `{project}` has no run `{run_id[:100]}`", hint="See `noria runs list`")
    if row.deleted_at is not None:
        raise Conflict(f"The run `{run_id}` is deleted", hint=f"Restore it: `noria runs restore {run_id}`")
    return int(row.pk)
