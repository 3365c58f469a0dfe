"""Spans in their table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.tracking.traces.entities import Span
from noria.tracking.traces.packing import row_of, span_of, unpack
from noria.tracking.traces.places import in_chunks
from noria.tracking.traces.sums import Node, cost_node, usage_node
from noria.tracking.traces.tables import trace_spans

_NAMES = tuple(column.name for column in trace_spans.c if column.name != "pk")


def write_spans(connection: sa.Connection, trace: int, spans: Sequence[Span]) -> None:
    """Write spans of a trace, in place of those that have their ids."""
    _WRITE.many_tuples(connection, [(trace, *row_of(span)) for span in spans])


def count_spans(connection: sa.Connection, trace: int) -> int:
    """Count the spans of a trace."""
    row = _COUNT.first(connection, {"trace": trace})
    return 0 if row is None else int(row[0])


def other_nodes(connection: sa.Connection, trace: int, but: Collection[str]) -> list[tuple[Node, Node]]:
    """Give what the spans of a trace besides some tell of tokens and of costs."""
    found = []
    for span_id, parent, data in _NODES.all(connection, {"trace": trace}):
        if span_id not in but:
            attributes = unpack(data).get("attributes", {})
            found.append((usage_node(span_id, parent, attributes), cost_node(span_id, parent, attributes)))
    return found


def read_spans(connection: sa.Connection, ids: dict[int, str]) -> dict[int, list[Span]]:
    """Read the spans of traces (key → id): roots first, then by start."""
    found: dict[int, list[Span]] = {trace: [] for trace in ids}
    for chunk in in_chunks(ids):
        for trace, *row in connection.execute(_SPANS, {"traces": chunk}).fetchall():
            found[trace].append(span_of(ids[trace], tuple(row)))
    for spans in found.values():
        spans.sort(key=lambda span: (span.parent is not None, span.started_ns))
    return found


_WRITE = Prepared(
    lambda dialect: (
        insert := upsertable(dialect, trace_spans).values(
            {name: sa.bindparam(name, required=True) for name in _NAMES}
        )
    ).on_conflict_do_update(
        index_elements=["trace_pk", "span_id"],
        set_={name: insert.excluded[name] for name in _NAMES if name not in ("trace_pk", "span_id")},
    )
)
_COUNT = Prepared(
    sa.select(sa.func.count()).select_from(trace_spans).where(trace_spans.c.trace_pk == sa.bindparam("trace"))
)
_NODES = Prepared(
    sa.select(trace_spans.c.span_id, trace_spans.c.parent_id, trace_spans.c.data).where(
        trace_spans.c.trace_pk == sa.bindparam("trace")
    )
)
_SPANS = (
    sa.select(
        trace_spans.c.trace_pk,
        trace_spans.c.span_id,
        trace_spans.c.parent_id,
        trace_spans.c.name,
        trace_spans.c.status,
        trace_spans.c.started_ns,
        trace_spans.c.ended_ns,
        trace_spans.c.data,
    )
    .where(trace_spans.c.trace_pk.in_(sa.bindparam("traces", expanding=True)))
    .order_by(trace_spans.c.trace_pk, trace_spans.c.pk)
)
