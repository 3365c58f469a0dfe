"""Spans as rows: what is searched in columns, everything else packed."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any, Final

from noria.core.errors import Corrupt
from noria.tracking.traces.conventions import COST, MODEL, PROVIDER, SPAN_TYPE, text_of
from noria.tracking.traces.entities import Span, SpanEvent, SpanKind, SpanLink, SpanStatus

PLAIN_BYTES: Final = 512
"""Up to here a span is kept as it is: packing would save little."""

_LEVEL: Final = 1
"""Of zlib: levels above take twice as long for a tenth less."""

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode
"""Python's own, since attributes may hold NaN and infinities."""

SpanRow = tuple[
    str,  # span_id
    str | None,  # parent_id
    str,  # name
    str | None,  # type
    str,  # status
    int,  # started_ns
    int | None,  # ended_ns
    str | None,  # model
    str | None,  # provider
    float | None,  # input_cost
    float | None,  # output_cost
    float | None,  # total_cost
    bytes,  # data
]

StoredSpan = tuple[str, str | None, str, str, int, int | None, bytes]
"""Columns that make a span again: span_id, parent_id, name, status, started_ns, ended_ns, data."""

_MAX_COLUMN_CHARS: Final = 500


def row_of(span: Span) -> SpanRow:
    """Give the columns of a span, in the order of the table."""
    cost = costs_of(span.attributes)
    return (
        span.id,
        span.parent,
        span.name,
        _column(span.attributes.get(SPAN_TYPE)),
        span.status.value,
        span.started_ns,
        span.ended_ns,
        _column(span.attributes.get(MODEL)),
        _column(span.attributes.get(PROVIDER)),
        cost.get("input_cost"),
        cost.get("output_cost"),
        cost.get("total_cost"),
        pack(span),
    )


def span_of(trace_id: str, row: StoredSpan) -> Span:
    """Make the span again."""
    span_id, parent, name, status, started_ns, ended_ns, data = row
    rest = unpack(data)
    return Span(
        trace_id=trace_id,
        id=span_id,
        parent=parent,
        name=name,
        status=SpanStatus(status),
        message=rest.get("message", ""),
        kind=SpanKind(rest.get("kind", SpanKind.INTERNAL)),
        started_ns=started_ns,
        ended_ns=ended_ns,
        attributes=rest.get("attributes", {}),
        events=[
            SpanEvent(name=event, at_ns=at_ns, attributes=attributes)
            for event, at_ns, attributes in rest.get("events", ())
        ],
        links=[
            SpanLink(trace_id=linked, span_id=linked_span, attributes=attributes)
            for linked, linked_span, attributes in rest.get("links", ())
        ],
    )


def pack(span: Span) -> bytes:
    """Give what has no column of its own: JSON, compressed unless it is short."""
    rest: dict[str, Any] = {}
    if span.attributes:
        rest["attributes"] = span.attributes
    if span.message:
        rest["message"] = span.message
    if span.kind is not SpanKind.INTERNAL:
        rest["kind"] = span.kind.value
    if span.events:
        rest["events"] = [(event.name, event.at_ns, event.attributes) for event in span.events]
    if span.links:
        rest["links"] = [(link.trace_id, link.span_id, link.attributes) for link in span.links]
    text = _ENCODE(rest).encode("utf-8", "replace")
    return text if len(text) <= PLAIN_BYTES else zlib.compress(text, _LEVEL)


def unpack(data: bytes) -> dict[str, Any]:
    """Give what was packed.

    Raises
    ------
    Corrupt
        If it is not what was written.
    """
    try:
        found: dict[str, Any] = json.loads(packed_text(data))
    except ValueError as error:
        raise Corrupt("The packed part of a span cannot be read") from error
    return found


def packed_text(data: bytes) -> str:
    """Give the JSON of a packed span: what a search for text looks into, beside the name."""
    try:
        return (data if data[:1] == b"{" else zlib.decompress(data)).decode()
    except (zlib.error, ValueError) as error:
        raise Corrupt("The packed part of a span cannot be read") from error


def costs_of(attributes: dict[str, Any]) -> dict[str, float]:
    """Give the costs that a span tells, as far as they are finite numbers."""
    told = attributes.get(COST)
    if not isinstance(told, dict):
        return {}
    found = {name: finite(told.get(name)) for name in ("input_cost", "output_cost", "total_cost")}
    return {name: value for name, value in found.items() if value is not None}


def finite(value: Any) -> float | None:
    """Give a number that is finite; None for anything else.

    Examples
    --------
    >>> finite("0.5"), finite(float("nan")), finite(True)
    (0.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _column(value: Any) -> str | None:
    text = text_of(value)
    return None if text is None else text[:_MAX_COLUMN_CHARS]
