"""Keep traces: the spans that arrive in any number of requests, and what the program tells of the whole.

Both can come first. Spans make the trace if it is not there, and widen its times and sums with each request, until
the program has told of the whole; what it told then holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict
from noria.tracking.limits import shorten
from noria.tracking.traces.assessing import add_assessments, move_assessments
from noria.tracking.traces.conventions import (
    INPUTS,
    NAME_TAG,
    OUTPUTS,
    SESSION_KEYS,
    TAG_PREFIX,
    USER,
    USER_METADATA,
    decoded,
    interpreted,
    text_of,
)
from noria.tracking.traces.entities import Cost, NewTrace, Span, SpanBatch, TraceEnd, TraceState, Usage
from noria.tracking.traces.limits import MAX_NAME_CHARS, MAX_SESSION_CHARS, cleaned, kept_values
from noria.tracking.traces.places import Place, experiment_in, project_of
from noria.tracking.traces.previews import preview
from noria.tracking.traces.rows import TraceRow, find_row, insert_row, update_row
from noria.tracking.traces.span_rows import count_spans, other_nodes, write_spans
from noria.tracking.traces.sums import (
    COSTS,
    PLAIN_TOKENS,
    TOKENS,
    Extent,
    Node,
    added_up,
    cost_node,
    extent_of,
    state_of,
    usage_node,
)
from noria.tracking.traces.tables import METADATA, TAG
from noria.tracking.traces.values import Values, has_value, move_values, set_many

_OPEN_STATES = frozenset({TraceState.IN_PROGRESS.value, TraceState.UNSPECIFIED.value})


class TraceElsewhere(Conflict):
    """A trace of this id belongs to another project."""

    code = "trace_elsewhere"

    def __init__(self, trace_id: str) -> None:
        super().__init__(
            f"The trace `{shorten(trace_id)}` belongs to another project", hint="Use an id of its own"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """The spans of one trace in one request."""

    trace_id: str
    spans: Sequence[Span]
    root: Span | None
    extent: Extent
    session: str | None
    user: str | None
    tags: Values


def keep_spans(connection: sa.Connection, project: str, batch: SpanBatch) -> list[str]:
    """Keep spans, and give the ids of the traces whose root was among them.

    A span that is there already is replaced.

    Raises
    ------
    NotFound
        If the project has no such experiment.
    TraceElsewhere
        If a span belongs to a trace of another project.
    """
    place = experiment_in(connection, project, batch.experiment, hold=True)
    arrivals = _arrivals(batch)
    values: list[tuple[TraceRow, int, Values]] = []
    # In one order for all writers, or two of them could wait for each other.
    for arrival in sorted(arrivals, key=lambda each: each.trace_id):
        row, is_new = _held_row(connection, place, arrival)
        _check_project(connection, row, place)
        write_spans(connection, row.pk, arrival.spans)
        _take_in(connection, row, arrival, is_new=is_new)
        update_row(connection, row)
        values.append((row, TAG, _besides_name(arrival.tags)))
        if arrival.user and (is_new or not has_value(connection, row, METADATA, USER_METADATA)):
            values.append((row, METADATA, {USER_METADATA: arrival.user}))
    set_many(connection, values)
    return [each.trace_id for each in arrivals if each.root is not None]


def record(connection: sa.Connection, clock: Clock, project: str, new: NewTrace) -> int:
    """Keep what a program tells of a trace, and give the trace's key.

    Raises
    ------
    NotFound
        If the project has no such experiment.
    TraceElsewhere
        If there is a trace of this id in another project.
    """
    place = experiment_in(connection, project, new.experiment, hold=True)
    row = find_row(connection, new.id)
    is_new = row is None
    if row is None:
        row = TraceRow(id=new.id, experiment_pk=place.pk, started_ms=0)
    else:
        _check_project(connection, row, place)
    _tell(row, new)
    if is_new and not insert_row(connection, row):
        return record(connection, clock, project, new)
    if not is_new:
        _move(connection, row, place)
        update_row(connection, row)
    set_many(connection, [(row, TAG, kept_values(new.tags)), (row, METADATA, kept_values(new.metadata))])
    add_assessments(connection, clock, row, new.assessments)
    return row.pk


def end(connection: sa.Connection, row: TraceRow, told: TraceEnd) -> None:
    """Close a trace that was told of when it began."""
    row.duration_ms = to_micros(told.ended_at) // 1_000 - row.started_ms
    row.state = told.state.value
    _tell_sums(row, told.usage, told.cost)
    if told.session is not None:
        row.session = told.session
    if told.name is not None:
        row.name = kept_name(told.name)
    update_row(connection, row)
    set_many(connection, [(row, TAG, kept_values(told.tags)), (row, METADATA, kept_values(told.metadata))])


def kept_name(name: str) -> str:
    """Give the name of a trace as it is kept."""
    return cleaned(name)[:MAX_NAME_CHARS]


def _tell(row: TraceRow, new: NewTrace) -> None:
    row.started_ms = to_micros(new.started_at) // 1_000
    row.duration_ms = new.duration_ms
    row.state = new.state.value
    row.client_request_id = new.client_request_id
    row.is_final = int(new.is_final)
    if new.name is not None:
        row.name = kept_name(new.name)
    if new.session is not None:
        row.session = new.session
    if new.request is not None:
        row.request = cleaned(new.request)
    if new.response is not None:
        row.response = cleaned(new.response)
    _tell_sums(row, new.usage, new.cost)


def _tell_sums(row: TraceRow, *told: Usage | Cost | None) -> None:
    for each in told:
        for name, value in msgspec.structs.asdict(each).items() if each is not None else ():
            if value is not None:
                setattr(row, name, value)


def _move(connection: sa.Connection, row: TraceRow, place: Place) -> None:
    """Let a trace belong to the experiment that its program tells."""
    if row.experiment_pk != place.pk:
        row.experiment_pk = place.pk
        move_values(connection, row)
        move_assessments(connection, row)


def _held_row(connection: sa.Connection, place: Place, arrival: _Arrival) -> tuple[TraceRow, bool]:
    row = find_row(connection, arrival.trace_id)
    if row is not None:
        return row, False
    extent = arrival.extent
    row = TraceRow(
        id=arrival.trace_id,
        experiment_pk=place.pk,
        started_ms=extent.start_ms,
        duration_ms=None if extent.end_ms is None else extent.end_ms - extent.start_ms,
        state=state_of(arrival.root).value,
    )
    if insert_row(connection, row):
        return row, True
    return _held_row(connection, place, arrival)


def _check_project(connection: sa.Connection, row: TraceRow, place: Place) -> None:
    if row.experiment_pk != place.pk and project_of(connection, row.experiment_pk) != place.project:
        raise TraceElsewhere(row.id)


def _take_in(connection: sa.Connection, row: TraceRow, arrival: _Arrival, *, is_new: bool) -> None:
    row.n_spans = len({span.id for span in arrival.spans}) if is_new else count_spans(connection, row.pk)
    if not row.is_final:
        _widen(row, arrival.extent)
    if row.state in _OPEN_STATES and arrival.root is not None:
        row.state = state_of(arrival.root).value
    if arrival.root is not None:
        _show(row, arrival.root)
    row.name = kept_name(arrival.tags.get(NAME_TAG) or row.name or _name_of(arrival.root) or "") or None
    row.session = row.session or arrival.session
    _add_sums(connection, row, arrival, is_new=is_new)


def _widen(row: TraceRow, extent: Extent) -> None:
    ends = [] if extent.end_ms is None else [extent.end_ms]
    if row.duration_ms is not None:
        ends.append(row.started_ms + row.duration_ms)
    row.started_ms = min(row.started_ms, extent.start_ms)
    row.duration_ms = max(ends) - row.started_ms if ends else None


def _show(row: TraceRow, root: Span) -> None:
    if row.request is None:
        row.request = _preview(root.attributes.get(INPUTS), role="user")
    if row.response is None:
        row.response = _preview(root.attributes.get(OUTPUTS), role="assistant")


def _preview(value: Any, *, role: str) -> str | None:
    text = preview(value, role=role)
    return None if text is None else cleaned(text)


def _name_of(root: Span | None) -> str | None:
    return None if root is None else root.name


def _add_sums(connection: sa.Connection, row: TraceRow, arrival: _Arrival, *, is_new: bool) -> None:
    usage = [usage_node(span.id, span.parent, span.attributes) for span in arrival.spans]
    costs = [cost_node(span.id, span.parent, span.attributes) for span in arrival.spans]
    wants_usage = any(node.told for node in usage) and not (row.is_final and row.tells(TOKENS))
    wants_costs = any(node.told for node in costs) and not (row.is_final and row.tells(COSTS))
    if not wants_usage and not wants_costs:
        return
    if not is_new:
        others = other_nodes(connection, row.pk, {span.id for span in arrival.spans})
        usage += [node for node, _ in others]
        costs += [node for _, node in others]
    if wants_usage:
        _set_sums(row, usage, PLAIN_TOKENS, whole=True)
    if wants_costs:
        _set_sums(row, costs, COSTS, whole=False)


def _set_sums(row: TraceRow, nodes: list[Node], always: Sequence[str], *, whole: bool) -> None:
    for name, value in added_up(nodes, always).items():
        setattr(row, name, int(value) if whole else float(value))


def _arrivals(batch: SpanBatch) -> list[_Arrival]:
    by_trace: dict[str, dict[str, Span]] = {}
    for span in batch.spans:
        by_trace.setdefault(span.trace_id, {})[span.id] = _understood(span)
    return [
        _arrival(trace_id, list(spans.values()), batch.resources.get(trace_id, {}))
        for trace_id, spans in by_trace.items()
    ]


def _understood(span: Span) -> Span:
    attributes = {cleaned(key): decoded(value) for key, value in span.attributes.items()}
    return msgspec.structs.replace(span, name=cleaned(span.name), attributes=interpreted(attributes))


def _arrival(trace_id: str, spans: list[Span], resource: Mapping[str, str]) -> _Arrival:
    root = next((span for span in reversed(spans) if span.parent is None), None)
    session = _first_text(spans, SESSION_KEYS)
    user = _first_text(spans, (USER,))
    return _Arrival(
        trace_id=trace_id,
        spans=spans,
        root=root,
        extent=extent_of(spans),
        session=None if session is None else cleaned(session)[:MAX_SESSION_CHARS],
        user=None if user is None else cleaned(user),
        tags=kept_values({**resource, **_tags_of(root)}),
    )


def _besides_name(tags: Values) -> Values:
    return {key: value for key, value in tags.items() if key != NAME_TAG}


def _first_text(spans: Sequence[Span], keys: Sequence[str]) -> str | None:
    found = (text_of(span.attributes.get(key)) for span in spans for key in keys)
    return next((text for text in found if text is not None), None)


def _tags_of(root: Span | None) -> dict[str, str]:
    if root is None:
        return {}
    told = (
        (key[len(TAG_PREFIX) :], value)
        for key, value in root.attributes.items()
        if key.startswith(TAG_PREFIX)
    )
    return {key: value if isinstance(value, str) else str(value) for key, value in told if key}
