"""Spans as OpenTelemetry sends them."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from noria.core.errors import Invalid, TooLarge
from noria.interop.mlflow import otlp
from noria.interop.mlflow.otlp import (
    JSON,
    PROTOBUF,
    SpanUnusable,
    binary_id,
    read_spans,
    span_message,
    unpacked,
)
from noria.tracking.traces.entities import Span, SpanEvent, SpanKind, SpanLink, SpanStatus

words = st.text(st.characters(codec="utf-8"), max_size=10)
moments = st.integers(0, 2**64 - 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(words.filter(lambda key: key != "mlflow.traceRequestId"), values, max_size=4)
trace_ids = st.integers(1, 2**128 - 1).map(lambda number: f"tr-{number:032x}")
span_ids = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")
spans = st.builds(
    Span,
    trace_id=trace_ids,
    id=span_ids,
    name=words,
    started_ns=moments,
    ended_ns=st.none() | moments.filter(bool),
    parent=st.none() | span_ids,
    status=st.sampled_from(SpanStatus),
    kind=st.sampled_from(SpanKind),
    message=words,
    attributes=attributes,
    events=st.lists(st.builds(SpanEvent, name=words, at_ns=moments, attributes=attributes), max_size=2),
    links=st.lists(
        st.builds(SpanLink, trace_id=trace_ids, span_id=span_ids, attributes=attributes), max_size=2
    ),
)


@given(spans)
def test_a_span_that_was_sent_is_read_as_it_is(span: Span) -> None:
    """What is answered to a client is what the same client would have sent, but for the id of the trace."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add().scope_spans.add().spans.add()
    ParseDict(json.loads(json.dumps(span_message(span))), sent)

    (read,), resources = read_spans(request.SerializeToString(), PROTOBUF)

    told = {"mlflow.traceRequestId": span.trace_id}
    assert read == Span(**{**_fields(span), "attributes": {**span.attributes, **told}})
    assert resources == {}


def _fields(span: Span) -> dict[str, Any]:
    return {name: getattr(span, name) for name in span.__struct_fields__}


def exported(**given: Any) -> dict[str, Any]:
    """Give an export of one span, as JSON has it."""
    span = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", **given}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def read(sent: dict[str, Any]) -> Span:
    (span,), _ = read_spans(json.dumps(sent).encode(), JSON)
    return span


def test_json_has_ids_in_hexadecimal_and_numbers_as_texts() -> None:
    """As OpenTelemetry's rules say, against those of protocol buffers; unknown fields are for later versions."""
    span = read(
        exported(
            parentSpanId="00f067aa0ba902b7",
            name="s",
            kind=2,
            startTimeUnixNano="1544712660000000000",
            endTimeUnixNano="1544712661000000000",
            status={"code": 2, "message": "no"},
            attributes=[{"key": "n", "value": {"intValue": "9007199254740993"}}],
            flags=257,
            newField={"a": 1},
        )
    )

    assert span == Span(
        trace_id="tr-0af7651916cd43dd8448eb211c80319c",
        id="b7ad6b7169203331",
        parent="00f067aa0ba902b7",
        name="s",
        started_ns=1_544_712_660_000_000_000,
        ended_ns=1_544_712_661_000_000_000,
        status=SpanStatus.ERROR,
        kind=SpanKind.SERVER,
        message="no",
        attributes={"n": 9_007_199_254_740_993},
    )


def test_a_span_without_end_parent_or_status_has_none() -> None:
    """Zeros mean that nothing is there."""
    span = read(exported(endTimeUnixNano="0", parentSpanId="0000000000000000", status={}))

    assert (span.ended_ns, span.parent, span.status) == (None, None, SpanStatus.UNSET)


def test_what_produced_a_trace_is_told_besides() -> None:
    """Without what its library says of itself, and without what would pass for our own."""
    sent = exported()
    sent["resourceSpans"][0]["resource"] = {
        "attributes": [
            {"key": key, "value": value}
            for key, value in (
                ("service.name", {"stringValue": "shop"}),
                ("host.cpus", {"intValue": "8"}),
                ("telemetry.sdk.name", {"stringValue": "opentelemetry"}),
                ("mlflow.user", {"stringValue": "root"}),
            )
        ]
    }

    _, resources = read_spans(json.dumps(sent).encode(), JSON)

    assert resources == {"tr-0af7651916cd43dd8448eb211c80319c": {"service.name": "shop", "host.cpus": "8"}}


@pytest.mark.parametrize(
    "sent",
    [
        exported(traceId=""),
        exported(spanId=""),
        exported(traceId="f" * 34),
        exported(spanId="f" * 18),
    ],
)
def test_a_span_without_both_its_ids_is_unusable(sent: dict[str, Any]) -> None:
    """So is one whose ids are longer than they can be."""
    with pytest.raises(SpanUnusable):
        read(sent)


def test_attributes_may_not_lie_too_deep() -> None:
    """However deep the sender can nest them."""
    value: dict[str, Any] = {"intValue": "1"}
    for _ in range(70):
        value = {"arrayValue": {"values": [value]}}

    with pytest.raises((SpanUnusable, Invalid)):
        read(exported(attributes=[{"key": "a", "value": value}]))


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", PROTOBUF),
        (b"\xff\xff", PROTOBUF),
        (b"", JSON),
        (b"{", JSON),
        (b"[]", JSON),
        (b"3", JSON),
        (b"{}", JSON),
        (b"[" * 100_000, JSON),
        (b'{"resourceSpans": 3}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "-1"}]}]}]}', JSON),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"status": {"code": "MAYBE"}, "name": 4}]}]}]}',
            JSON,
        ),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, media_type: str) -> None:
    """With one error, whatever is wrong with it."""
    with pytest.raises(Invalid, match="Invalid OpenTelemetry format"):
        read_spans(body, media_type)


def raw_deflate(body: bytes) -> bytes:
    """Compress without the wrapping of zlib."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"body", mtime=0)),
        ("deflate", zlib.compress(b"body")),
        ("deflate", raw_deflate(b"body")),
    ],
)
def test_compressed_bodies_are_unpacked(encoding: str, packed: bytes) -> None:
    """With gzip, or with deflate in either of the forms that are sent under this name."""
    assert unpacked(packed, encoding) == b"body"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"body"),
        ("gzip", gzip.compress(b"body", mtime=0)[:-3]),
        ("deflate", b"\xff\xff"),
        ("br", b"body"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(encoding: str, packed: bytes) -> None:
    """Also what ends too early."""
    with pytest.raises(Invalid):
        unpacked(packed, encoding)


def test_a_small_body_cannot_grow_beyond_the_limit() -> None:
    """It is not unpacked further than that."""
    bomb = gzip.compress(bytes(otlp.MAX_UNPACKED_BYTES + 1), compresslevel=1)

    with pytest.raises(TooLarge):
        unpacked(bomb, "gzip")


@pytest.mark.parametrize(
    ("digits", "size", "raw"),
    [
        ("0a", 2, b"\x00\x0a"),
        ("0a0b0c", 2, b"\x0b\x0c"),
        ("not hex", 8, b"\x00not hex"),
    ],
)
def test_ids_take_as_many_bytes_as_they_should(digits: str, size: int, raw: bytes) -> None:
    """Shorter ones are filled up, longer ones cut, and those of our own clients may be any text."""
    sent = SentSpan()
    ParseDict({"trace_id": binary_id(digits, size)}, sent)

    assert sent.trace_id == raw


def test_numbers_beyond_64_bits_become_floats() -> None:
    """Protocol buffers know no larger ones."""
    span = Span(trace_id="tr-1", id="1", name="s", started_ns=0, attributes={"a": 2**70, "b": -(10**400)})

    found = {each["key"]: each["value"] for each in span_message(span)["attributes"]}

    assert found["a"] == {"double_value": float(2**70)}
    assert found["b"] == {"double_value": "-Infinity"}
