"""Spans as OpenTelemetry sends them, in protocol buffers or JSON, to spans of this workspace."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from noria.core.errors import Invalid, TooLarge
from noria.interop.mlflow.wire import wire_number
from noria.tracking.traces.entities import Span, SpanEvent, SpanKind, SpanLink, SpanStatus

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
"""What a compressed body may grow to: a small one can hold a very large one."""

_MAX_DEPTH: Final = 64
_ID_FIELDS: Final = ("traceId", "spanId", "parentSpanId")
_KINDS: Final = dict(enumerate(SpanKind, start=1))
_STATUSES: Final = {1: SpanStatus.OK, 2: SpanStatus.ERROR}
_OWN_RESOURCES: Final = ("telemetry.sdk.", "mlflow.")
"""Beginnings of what resources say of themselves, and of what no program may set by them."""


class SpanUnusable(Invalid):
    """A span that has no id, or one that is none."""

    code = "span_unusable"


def unpacked(body: bytes, encoding: str) -> bytes:
    """Give a body as it was before it was compressed.

    Parameters
    ----------
    encoding
        `gzip` or `deflate`; with the wrapping of zlib or without.

    Raises
    ------
    Invalid
        If it is compressed otherwise, or not at all.
    TooLarge
        If it grows beyond the limit.
    """
    if encoding not in ("gzip", "deflate"):
        raise Invalid(f"Unsupported Content-Encoding: {encoding}")
    windows = (zlib.MAX_WBITS | 16,) if encoding == "gzip" else (zlib.MAX_WBITS, -zlib.MAX_WBITS)
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            found = unpacker.decompress(body, MAX_UNPACKED_BYTES)
        except zlib.error:
            continue
        if unpacker.unconsumed_tail:
            raise TooLarge(
                f"The spans take more than {MAX_UNPACKED_BYTES} bytes when they are unpacked",
                hint="Send them in several requests",
            )
        if unpacker.eof:
            return found
    raise Invalid(f"Failed to decompress {encoding} payload")


def read_spans(body: bytes, media_type: str) -> tuple[list[Span], dict[str, dict[str, str]]]:
    """Read the spans of a request, and what produced each trace.

    Raises
    ------
    Invalid
        If the body cannot be read, or holds nothing.
    SpanUnusable
        If a span has no id.
    """
    spans: list[Span] = []
    resources: dict[str, dict[str, str]] = {}
    for sent in _request(body, media_type).resource_spans:
        resource = _resource(sent.resource.attributes)
        for scope in sent.scope_spans:
            for each in scope.spans:
                span = _span(each)
                spans.append(span)
                if resource:
                    resources.setdefault(span.trace_id, resource)
    return spans, resources


def _request(body: bytes, media_type: str) -> ExportTraceServiceRequest:
    from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        if media_type == JSON:
            ParseDict(_with_binary_ids(json.loads(body)), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid("Invalid OpenTelemetry format") from error
    if not request.resource_spans:
        raise Invalid("Invalid OpenTelemetry format - no spans found")
    return request


def _with_binary_ids(sent: dict[str, Any]) -> dict[str, Any]:
    """Rewrite ids from hexadecimal, as OpenTelemetry's JSON has them, to base64, as that of protocol buffers has."""
    for span in _sent_spans(sent):
        for name in _ID_FIELDS:
            if span.get(name):
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return sent


def _sent_spans(sent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in sent.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())


def _span(sent: SentSpan) -> Span:
    if not sent.trace_id or not sent.span_id:
        raise SpanUnusable(
            "Cannot convert OpenTelemetry span to MLflow span", hint="A span needs both its ids"
        )
    return Span(
        trace_id=_trace_id(sent.trace_id),
        id=_hex(sent.span_id, 8),
        parent=_hex(sent.parent_span_id, 8) if any(sent.parent_span_id) else None,
        name=sent.name,
        started_ns=sent.start_time_unix_nano,
        ended_ns=sent.end_time_unix_nano or None,
        status=_STATUSES.get(sent.status.code, SpanStatus.UNSET),
        message=sent.status.message,
        kind=_KINDS.get(sent.kind, SpanKind.INTERNAL),
        attributes=_values(sent.attributes),
        events=[
            SpanEvent(name=event.name, at_ns=event.time_unix_nano, attributes=_values(event.attributes))
            for event in sent.events
        ],
        links=[
            SpanLink(
                trace_id=_trace_id(link.trace_id),
                span_id=_hex(link.span_id, 8),
                attributes=_values(link.attributes),
            )
            for link in sent.links
        ],
    )


def _trace_id(sent: bytes) -> str:
    return f"tr-{_hex(sent, 16)}"


def _hex(sent: bytes, n_bytes: int) -> str:
    number = int.from_bytes(sent, "big")
    if number >> (8 * n_bytes):
        raise SpanUnusable(
            "Cannot convert OpenTelemetry span to MLflow span", hint=f"The id `{sent[:32].hex()}` is too long"
        )
    return f"{number:0{2 * n_bytes}x}"


def _resource(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in _values(attributes).items()
        if not name.startswith(_OWN_RESOURCES)
    }


def _values(attributes: Iterable[KeyValue], depth: int = 0) -> dict[str, Any]:
    return {each.key: _value(each.value, depth) for each in attributes}


def _value(sent: AnyValue, depth: int) -> Any:
    kind = sent.WhichOneof("value")
    if kind is None:
        return None
    if depth > _MAX_DEPTH:
        raise SpanUnusable(
            "Cannot convert OpenTelemetry span to MLflow span", hint="Attributes are nested too deeply"
        )
    if kind == "array_value":
        return [_value(each, depth + 1) for each in sent.array_value.values]
    if kind == "kvlist_value":
        return _values(sent.kvlist_value.values, depth + 1)
    value = getattr(sent, kind)
    return str(value) if isinstance(value, bytes) else value


def span_message(span: Span) -> dict[str, Any]:
    """Give a span as the JSON of its protocol buffer."""
    message: dict[str, Any] = {
        "trace_id": binary_id(span.trace_id.removeprefix("tr-"), 16),
        "span_id": binary_id(span.id, 8),
        "name": span.name,
        "start_time_unix_nano": span.started_ns,
        "attributes": _sent_values({**span.attributes, "mlflow.traceRequestId": span.trace_id}),
        "status": _sent_status(span),
    }
    if span.kind is not SpanKind.INTERNAL:  # which is what clients take it for
        message["kind"] = kind_name(span)
    if span.parent is not None:
        message["parent_span_id"] = binary_id(span.parent, 8)
    if span.ended_ns is not None:
        message["end_time_unix_nano"] = span.ended_ns
    if span.events:
        message["events"] = [
            {"time_unix_nano": event.at_ns, "name": event.name, "attributes": _sent_values(event.attributes)}
            for event in span.events
        ]
    if span.links:
        message["links"] = [
            {
                "trace_id": binary_id(link.trace_id.removeprefix("tr-"), 16),
                "span_id": binary_id(link.span_id, 8),
                "attributes": _sent_values(link.attributes),
            }
            for link in span.links
        ]
    return message


def binary_id(digits: str, n_bytes: int) -> str:
    """Give an id in base64; one that is not hexadecimal, as only this workspace's own clients make, by its bytes."""
    try:
        raw = bytes.fromhex(digits.rjust(2 * n_bytes, "0"))
    except ValueError:
        raw = digits.encode()
    return base64.b64encode(raw[-n_bytes:].rjust(n_bytes, b"\0")).decode()


def kind_name(span: Span) -> str:
    """Give the kind of a span in OpenTelemetry's words."""
    return f"SPAN_KIND_{span.kind.value}"


def _sent_status(span: Span) -> dict[str, str]:
    message = {"message": span.message} if span.message else {}
    return (
        message
        if span.status is SpanStatus.UNSET
        else {"code": f"STATUS_CODE_{span.status.value}", **message}
    )


def _sent_values(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _sent_value(value)} for key, value in values.items()]


def _sent_value(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlist_value": {"values": _sent_values(value)}}
    if isinstance(value, list):
        return {"array_value": {"values": [_sent_value(each) for each in value]}}
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        value = _as_float(value)  # what needs more than 64 bits has no whole number there
    if isinstance(value, float):
        return {"double_value": wire_number(value)}
    kind = _SENT_KINDS.get(type(value))
    return {} if kind is None else {kind: value}


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_SENT_KINDS: Final = {bool: "bool_value", str: "string_value", int: "int_value"}
