"""Traces on MLflow's wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.moments import read_moment, sent_moment
from noria.interop.mlflow.trace_messages import (
    TraceInfoMessage,
    new_trace,
    old_trace_message,
    sent_metadata,
    sent_tags,
    stored_span,
    told,
    trace_message,
)
from noria.tracking.traces.entities import (
    Cost,
    Span,
    SpanEvent,
    SpanKind,
    SpanStatus,
    Trace,
    TraceState,
    Usage,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def trace(**given: Any) -> Trace:
    return Trace(
        **{
            "id": "tr-1",
            "project": "default",
            "experiment": "asked",
            "experiment_number": 3,
            "state": TraceState.OK,
            "started_at": AT,
            **given,
        }
    )


def info(**given: Any) -> TraceInfoMessage:
    return msgspec.convert(
        {"trace_id": "tr-1", "request_time": "2026-01-02T00:00:00Z", **given}, TraceInfoMessage
    )


@pytest.mark.parametrize(
    ("sent", "length_ms", "answered"),
    [
        ("0s", 0, "0s"),
        ("1s", 1_000, "1s"),
        ("1.5s", 1_500, "1.500s"),
        ("1.005s", 1_005, "1.005s"),
        ("0.0009s", 0, "0s"),
        ("-2.25s", -2_250, "-2.250s"),
        ("315576000000s", 315_576_000_000_000, "315576000000s"),
        (None, None, None),
    ],
)
def test_durations_are_written_as_protocol_buffers_do(
    sent: str | None, length_ms: int | None, answered: str | None
) -> None:
    """In seconds, of which whole milliseconds are kept."""
    assert new_trace(info(execution_duration=sent), 3).duration_ms == length_ms
    assert trace_message(trace(duration_ms=length_ms)).get("execution_duration") == answered


@pytest.mark.parametrize("sent", ["", "5", "5 minutes", "1,5s", "s", "1.s", "nans", "1" * 13 + "s"])
def test_what_is_no_duration_is_refused(sent: str) -> None:
    """With the name of the field."""
    with pytest.raises(MlflowError, match="execution_duration"):
        new_trace(info(execution_duration=sent), 3)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.678912Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T05:04:05.1+02:00", "2026-01-02T03:04:05.100Z"),
    ],
)
def test_moments_are_kept_to_the_millisecond(sent: str, answered: str) -> None:
    """In UTC, from whatever zone they come."""
    read = read_moment(sent, "at")

    assert read is not None
    assert sent_moment(read) == answered


@pytest.mark.parametrize("sent", ["", "yesterday", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z"])
def test_what_is_no_moment_is_refused(sent: str) -> None:
    """Nor one without a zone."""
    with pytest.raises(MlflowError, match="request_time"):
        new_trace(info(request_time=sent), 3)


def test_metadata_and_tags_that_have_fields_here_are_taken_out() -> None:
    """And come back from the fields; what the server sets by itself is not kept."""
    metadata = {
        "mlflow.trace.session": "chat",
        "mlflow.trace.tokenUsage": '{"input_tokens": 3, "total_tokens": "x"}',
        "mlflow.trace.cost": '{"total_cost": 0.5}',
        "mlflow.trace.infoFinalized": "true",
        "mlflow.user": "ana",
    }
    tags = {
        "mlflow.traceName": "answer",
        "mlflow.artifactLocation": "s3://elsewhere",
        "mlflow.trace.spansLocation": "TRACKING_STORE",
        "env": "prod",
    }

    parts = told(metadata, tags)

    assert parts.metadata == {"mlflow.user": "ana"}
    assert parts.tags == {"env": "prod"}
    assert (parts.name, parts.session) == ("answer", "chat")
    assert (parts.usage, parts.cost) == (Usage(input_tokens=3), Cost(total_cost=0.5))
    made = trace(
        metadata=parts.metadata,
        tags=parts.tags,
        name=parts.name,
        session=parts.session,
        usage=parts.usage or Usage(),
        cost=parts.cost or Cost(),
        is_final=True,
        n_spans=1,
    )
    assert sent_metadata(made) == {**metadata, "mlflow.trace.tokenUsage": '{"input_tokens": 3}'}
    assert sent_tags(made) == {
        **tags,
        "mlflow.artifactLocation": "mlflow-artifacts:/3/traces/tr-1/artifacts",
    }


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "3", "{", "[" * 100_000])
def test_sums_that_cannot_be_read_are_none(text: str) -> None:
    """A program that traces is not stopped by them."""
    parts = told({"mlflow.trace.tokenUsage": text, "mlflow.trace.cost": text}, {})

    assert (parts.usage, parts.cost) == (None, None)


def test_an_answer_leaves_out_what_is_not_there() -> None:
    """As MLflow's does, in both forms."""
    assert trace_message(trace()) == {
        "trace_id": "tr-1",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "3"}},
        "request_time": "2026-01-02T03:04:05.678Z",
        "state": "OK",
        "tags": {"mlflow.artifactLocation": "mlflow-artifacts:/3/traces/tr-1/artifacts"},
    }
    old = old_trace_message(trace(state=TraceState.UNSPECIFIED))
    assert (old["status"], old["execution_time_ms"]) == ("TRACE_STATUS_UNSPECIFIED", 0)
    assert "request_metadata" not in old


def test_long_values_are_cut_in_answers() -> None:
    """Where clients expect short ones."""
    found = trace_message(trace(metadata={"a": "x" * 300}, tags={"b": "y" * 5_000}))

    assert found["trace_metadata"] == {"a": "x" * 250}
    assert found["tags"]["b"] == "y" * 4_096


def test_a_span_in_a_file_has_its_attributes_as_json() -> None:
    """As clients of MLflow wrote them into `traces.json`."""
    span = Span(
        trace_id=f"tr-{1:032x}",
        id=f"{2:016x}",
        name="s",
        started_ns=5,
        ended_ns=7,
        status=SpanStatus.ERROR,
        message="boom",
        attributes={"ü": {"a": [1, None]}},
        events=[SpanEvent(name="e", at_ns=6, attributes={"k": "v"})],
    )

    found = stored_span(span)
    asked = stored_span(msgspec.structs.replace(span, kind=SpanKind.CLIENT))

    assert asked == {**found, "kind": "SPAN_KIND_CLIENT"}
    assert {key: json.loads(value) for key, value in found["attributes"].items()} == {
        "ü": {"a": [1, None]},
        "mlflow.traceRequestId": f"tr-{1:032x}",
    }
    assert found["status"] == {"code": "STATUS_CODE_ERROR", "message": "boom"}
    assert found["events"] == [{"name": "e", "time_unix_nano": 6, "attributes": {"k": "v"}}]
    assert (found["parent_span_id"], found["span_id"]) == (None, "AAAAAAAAAAI=")
