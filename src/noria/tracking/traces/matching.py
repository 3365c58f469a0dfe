"""What only the packed spans, or a regular expression, can answer of a trace."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from noria.tracking.search.grammar import ATTRIBUTE, Clause
from noria.tracking.traces.conditions import Conditions
from noria.tracking.traces.conventions import SOURCE_RUN
from noria.tracking.traces.entities import Trace
from noria.tracking.traces.expressions import expression
from noria.tracking.traces.fields import METADATA, RLIKE, SPAN_ATTRIBUTES, TAG
from noria.tracking.traces.packing import packed_text, unpack
from noria.tracking.traces.patterns import Test, like
from noria.tracking.traces.places import in_chunks
from noria.tracking.traces.reading import load_traces
from noria.tracking.traces.tables import trace_spans

SpanTest = Callable[[Any], bool]
"""Of a row of `_SPANS`."""


def fitting(connection: sa.Connection, conditions: Conditions, keys: Sequence[int]) -> list[int]:
    """Give those of the traces that fit what SQL could not decide, in their order."""
    kept = list(keys)
    if conditions.span_clauses:
        kept = _with_spans(connection, conditions.span_clauses, kept)
    if conditions.expressions:
        kept = _with_values(connection, conditions.expressions, kept)
    return kept


def _with_spans(connection: sa.Connection, clauses: Sequence[Clause], keys: Sequence[int]) -> list[int]:
    tests = [_span_test(clause) for clause in clauses]
    found = set()
    for chunk in in_chunks(keys):
        for row in connection.execute(_SPANS, {"traces": chunk}):
            if row[0] not in found and all(test(row) for test in tests):
                found.add(row[0])
    return [key for key in keys if key in found]


def _with_values(connection: sa.Connection, clauses: Sequence[Clause], keys: Sequence[int]) -> list[int]:
    loaded = zip(keys, load_traces(connection, keys), strict=True)
    return [key for key, trace in loaded if all(_expresses(clause, trace) for clause in clauses)]


def _expresses(clause: Clause, trace: Trace) -> bool:
    looked_for = expression(str(clause.value))
    return any(looked_for.search(text) for text in _texts(clause, trace))


def _texts(clause: Clause, trace: Trace) -> Iterable[str]:
    if clause.entity in (TAG, METADATA):
        value = (trace.tags if clause.entity == TAG else trace.metadata).get(clause.key)
    elif clause.entity == ATTRIBUTE:
        value = _attribute(trace, clause.key)
    else:
        return [
            json.dumps(each.value, ensure_ascii=False)
            for each in trace.assessments
            if each.kind == clause.entity and each.name == clause.key and each.valid
        ]
    return [] if value is None else [value]


def _attribute(trace: Trace, key: str) -> str | None:
    values = {
        "request_id": trace.id,
        "status": trace.state.value,
        "client_request_id": trace.client_request_id,
        "name": trace.name,
        "session": trace.session,
        "run_id": trace.metadata.get(SOURCE_RUN),
    }
    return values.get(key)


def _span_test(clause: Clause) -> SpanTest:
    if clause.key == "content":
        test = _text_test(clause)
        return lambda row: test(_content(row))
    if clause.key.startswith(SPAN_ATTRIBUTES):
        name = clause.key[len(SPAN_ATTRIBUTES) :]
        holds = _text_test(_open_ended(clause))
        return lambda row: _holds(holds, unpack(row[4]).get("attributes", {}), name)
    column = _COLUMNS[clause.key]
    fits = _text_test(clause)
    return lambda row: row[column] is not None and fits(row[column])


def _holds(test: Test, attributes: dict[str, Any], name: str) -> bool:
    if name not in attributes:
        return False
    value = attributes[name]
    return test(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _content(row: Any) -> str:
    """Give what a search for text looks into: the span as JSON."""
    return f'{{"name": {json.dumps(row[1], ensure_ascii=False)}, {packed_text(row[4])[1:]}'


def _open_ended(clause: Clause) -> Clause:
    """Let a pattern for an attribute fit the beginning of its value, as MLflow does."""
    if clause.comparator not in ("LIKE", "ILIKE"):
        return clause
    return Clause(
        entity=clause.entity, key=clause.key, comparator=clause.comparator, value=f"{clause.value}%"
    )


def _text_test(clause: Clause) -> Test:
    wanted = clause.value
    if isinstance(wanted, tuple):
        is_in = clause.comparator == "IN"
        return lambda text: (text in wanted) == is_in
    return _TESTS[clause.comparator](str(wanted))


_TESTS: dict[str, Callable[[str], Test]] = {
    "=": lambda wanted: lambda text: text == wanted,
    "!=": lambda wanted: lambda text: text != wanted,
    "LIKE": like,
    "ILIKE": functools.partial(like, any_case=True),
    RLIKE: lambda wanted: expression(wanted).search,
}
_COLUMNS = {"name": 1, "type": 2, "status": 3}
_SPANS = sa.select(
    trace_spans.c.trace_pk, trace_spans.c.name, trace_spans.c.type, trace_spans.c.status, trace_spans.c.data
).where(trace_spans.c.trace_pk.in_(sa.bindparam("traces", expanding=True)))
