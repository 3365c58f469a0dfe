"""Read traces out of their tables: a fixed number of queries, whatever the page holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.schema import from_micros
from noria.tracking.tables import experiments, tracking_keys
from noria.tracking.traces.assessing import read_assessments
from noria.tracking.traces.assessment_entities import Assessment
from noria.tracking.traces.entities import Cost, Trace, TraceState, Usage
from noria.tracking.traces.places import in_chunks
from noria.tracking.traces.span_rows import read_spans
from noria.tracking.traces.tables import METADATA, TAG, trace_values, traces

Values = dict[str, str]


def load_traces(connection: sa.Connection, keys: Sequence[int], *, spans: bool = False) -> list[Trace]:
    """Give traces by their keys, in the order of these; keys of traces that are gone are passed over."""
    rows = {row[0]: row for row in _rows(connection, keys)}
    ids = {key: rows[key][1] for key in keys if key in rows}
    values = _values(connection, list(ids))
    assessments = read_assessments(connection, ids)
    found = [_trace(rows[key], values[key], assessments[key]) for key in ids]
    if not spans:
        return found
    every = read_spans(connection, ids)
    return [msgspec.structs.replace(trace, spans=every[key]) for key, trace in zip(ids, found, strict=True)]


def keys_of(connection: sa.Connection, trace_ids: Sequence[str]) -> list[tuple[int, str, int, str]]:
    """Find traces by their ids: key, id, number of the experiment, project."""
    found = []
    for at in range(0, len(trace_ids), _IDS):
        wanted = {"ids": list(trace_ids[at : at + _IDS])}
        found += [(row[0], row[1], row[2], row[3]) for row in connection.execute(_BY_IDS, wanted)]
    return found


def _rows(connection: sa.Connection, keys: Sequence[int]) -> list[Any]:
    return [
        row for chunk in in_chunks(keys) for row in connection.execute(_TRACES, {"traces": chunk}).fetchall()
    ]


def _values(connection: sa.Connection, keys: Sequence[int]) -> dict[int, tuple[Values, Values]]:
    found: dict[int, tuple[Values, Values]] = {key: ({}, {}) for key in keys}
    for chunk in in_chunks(keys):
        for trace, kind, key, value in connection.execute(_VALUES, {"traces": chunk}).fetchall():
            found[trace][kind][key] = value
    return found


def _trace(row: Any, values: tuple[Values, Values], assessments: list[Assessment]) -> Trace:
    return Trace(
        id=row[1],
        name=row[2],
        state=TraceState(row[3]),
        started_at=from_micros(row[4] * 1_000),
        duration_ms=row[5],
        client_request_id=row[6],
        session=row[7],
        request=row[8],
        response=row[9],
        is_final=bool(row[10]),
        n_spans=row[11],
        usage=Usage(
            input_tokens=row[12],
            output_tokens=row[13],
            total_tokens=row[14],
            cache_read_input_tokens=row[15],
            cache_creation_input_tokens=row[16],
            cache_creation_input_tokens_above_1hr=row[17],
        ),
        cost=Cost(input_cost=row[18], output_cost=row[19], total_cost=row[20]),
        experiment=row[21],
        experiment_number=row[22],
        project=row[23],
        artifact_location=row[24],
        tags=values[TAG],
        metadata=values[METADATA],
        assessments=assessments,
    )


_IDS = 500
_TRACES = (
    sa.select(
        traces.c.pk,
        traces.c.id,
        traces.c.name,
        traces.c.state,
        traces.c.started_ms,
        traces.c.duration_ms,
        traces.c.client_request_id,
        traces.c.session,
        traces.c.request,
        traces.c.response,
        traces.c.is_final,
        traces.c.n_spans,
        traces.c.input_tokens,
        traces.c.output_tokens,
        traces.c.total_tokens,
        traces.c.cache_read_input_tokens,
        traces.c.cache_creation_input_tokens,
        traces.c.cache_creation_input_tokens_above_1hr,
        traces.c.input_cost,
        traces.c.output_cost,
        traces.c.total_cost,
        experiments.c.name,
        experiments.c.number,
        projects.c.name,
        experiments.c.artifact_location,
    )
    .join_from(traces, experiments, experiments.c.pk == traces.c.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(traces.c.pk.in_(sa.bindparam("traces", expanding=True)))
)
_VALUES = (
    sa.select(trace_values.c.trace_pk, trace_values.c.kind, tracking_keys.c.key, trace_values.c.value)
    .join(tracking_keys, tracking_keys.c.pk == trace_values.c.key_pk)
    .where(trace_values.c.trace_pk.in_(sa.bindparam("traces", expanding=True)))
    .order_by(tracking_keys.c.key)
)
_BY_IDS = (
    sa.select(traces.c.pk, traces.c.id, experiments.c.number, projects.c.name)
    .join_from(traces, experiments, experiments.c.pk == traces.c.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(traces.c.id.in_(sa.bindparam("ids", expanding=True)))
)
