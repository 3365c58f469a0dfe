"""Traces and spans as MLflow's clients send and read them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from noria.core.database.schema import from_micros
from noria.interop.mlflow.assessment_messages import AssessmentMessage, assessment_message, new_assessment
from noria.interop.mlflow.decoding import Message, WireEnum, invalid_parameter
from noria.interop.mlflow.locations import artifact_location, below
from noria.interop.mlflow.messages import KeyValue
from noria.interop.mlflow.moments import read_moment, sent_moment
from noria.interop.mlflow.otlp import binary_id, kind_name
from noria.interop.mlflow.times import millis
from noria.tracking.traces.conventions import NAME_TAG, SESSION_METADATA, whole
from noria.tracking.traces.entities import Cost, NewTrace, Span, SpanKind, Trace, TraceState, Usage
from noria.tracking.traces.packing import finite

USAGE_METADATA: Final = "mlflow.trace.tokenUsage"
COST_METADATA: Final = "mlflow.trace.cost"
FINAL_METADATA: Final = "mlflow.trace.infoFinalized"
LOCATION_TAG: Final = "mlflow.artifactLocation"
SPANS_TAG: Final = "mlflow.trace.spansLocation"
IN_STORE: Final = "TRACKING_STORE"

MAX_METADATA_CHARS: Final = 250
MAX_TAG_CHARS: Final = 4_096
"""What an answer tells of a value: what is kept may be longer."""

_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")


class State(WireEnum):
    """Where a trace stands."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED", 0
    OK = "OK", 1
    ERROR = "ERROR", 2
    IN_PROGRESS = "IN_PROGRESS", 3


class Status(WireEnum):
    """Where a trace stands, in the older form."""

    TRACE_STATUS_UNSPECIFIED = "TRACE_STATUS_UNSPECIFIED", 0
    OK = "OK", 1
    ERROR = "ERROR", 2
    IN_PROGRESS = "IN_PROGRESS", 3

    @property
    def state(self) -> TraceState:
        """The state of the trace."""
        name: str = self.value
        return TraceState.UNSPECIFIED if self is Status.TRACE_STATUS_UNSPECIFIED else TraceState(name)


class ExperimentLocation(Message):
    """An experiment that holds traces."""

    experiment_id: str = ""


class Location(Message):
    """Where traces are; other kinds than experiments hold none here."""

    mlflow_experiment: ExperimentLocation | None = None


class TraceInfoMessage(Message):
    """What a program tells of a trace."""

    trace_id: str = ""
    client_request_id: str | None = None
    trace_location: Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    execution_duration: str | None = None
    state: State = State.STATE_UNSPECIFIED
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: list[AssessmentMessage] = []


class TraceMessage(Message):
    """A trace, of which only what is told of the whole is read."""

    trace_info: TraceInfoMessage | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata and tags, apart from what stands in fields of its own here."""

    metadata: dict[str, str]
    tags: dict[str, str]
    name: str | None
    session: str | None
    usage: Usage | None
    cost: Cost | None


def told(metadata: dict[str, str], tags: dict[str, str]) -> Told:
    """Take metadata and tags apart."""
    kept = {key: value for key, value in metadata.items() if key not in _OWN_METADATA}
    own = {key: tags[key] for key in tags if key != NAME_TAG and not _is_ours(key, tags[key])}
    return Told(
        metadata=kept,
        tags=own,
        name=tags.get(NAME_TAG),
        session=metadata.get(SESSION_METADATA),
        usage=_usage(metadata.get(USAGE_METADATA)),
        cost=_cost(metadata.get(COST_METADATA)),
    )


_OWN_METADATA: Final = frozenset({SESSION_METADATA, USAGE_METADATA, COST_METADATA, FINAL_METADATA})


def _is_ours(key: str, value: str) -> bool:
    return key == LOCATION_TAG or (key == SPANS_TAG and value == IN_STORE)


def new_trace(message: TraceInfoMessage, experiment: int) -> NewTrace:
    """Give what a program tells of a trace."""
    parts = told(message.trace_metadata, message.tags)
    return NewTrace(
        id=message.trace_id,
        experiment=experiment,
        started_at=read_moment(message.request_time, "trace.trace_info.request_time") or from_micros(0),
        duration_ms=_duration_ms(message.execution_duration),
        state=TraceState(message.state.value),
        client_request_id=message.client_request_id,
        request=message.request_preview,
        response=message.response_preview,
        name=parts.name,
        session=parts.session,
        usage=parts.usage,
        cost=parts.cost,
        metadata=parts.metadata,
        tags=parts.tags,
        assessments=[new_assessment(each) for each in message.assessments],
    )


def trace_message(trace: Trace) -> dict[str, Any]:
    """Give what is known of a trace, besides its spans."""
    optional = {
        "client_request_id": trace.client_request_id,
        "request_preview": trace.request,
        "response_preview": trace.response,
        "execution_duration": None if trace.duration_ms is None else _sent_duration(trace.duration_ms),
    }
    filled = {
        "trace_metadata": sent_metadata(trace),
        "assessments": list(map(assessment_message, trace.assessments)),
    }
    return {
        "trace_id": trace.id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": str(trace.experiment_number)},
        },
        "request_time": sent_moment(trace.started_at),
        "state": trace.state.value,
        "tags": sent_tags(trace),
        **{name: value for name, value in optional.items() if value is not None},
        **{name: value for name, value in filled.items() if value},
    }


def old_trace_message(trace: Trace) -> dict[str, Any]:
    """Give what is known of a trace in the older form."""
    status = "TRACE_STATUS_UNSPECIFIED" if trace.state is TraceState.UNSPECIFIED else trace.state.value
    filled = {
        "request_metadata": [KeyValue(key=key, value=value) for key, value in sent_metadata(trace).items()],
        "tags": [KeyValue(key=key, value=value) for key, value in sent_tags(trace).items()],
    }
    return {
        "request_id": trace.id,
        "experiment_id": str(trace.experiment_number),
        "timestamp_ms": millis(trace.started_at),
        "execution_time_ms": trace.duration_ms or 0,
        "status": status,
        **{name: pairs for name, pairs in filled.items() if pairs},
    }


def sent_metadata(trace: Trace) -> dict[str, str]:
    """Give the metadata of a trace, with what stands in fields of its own here."""
    usage, cost = (msgspec.to_builtins(each) for each in (trace.usage, trace.cost))
    found = {
        **trace.metadata,
        SESSION_METADATA: trace.session,
        USAGE_METADATA: json.dumps(usage) if usage else None,
        COST_METADATA: json.dumps(cost) if cost else None,
        FINAL_METADATA: "true" if trace.is_final else None,
    }
    return {key: value[:MAX_METADATA_CHARS] for key, value in found.items() if value is not None}


def sent_tags(trace: Trace) -> dict[str, str]:
    """Give the tags of a trace, with those that the server sets."""
    found = {key: value[:MAX_TAG_CHARS] for key, value in trace.tags.items()}
    found[LOCATION_TAG] = files_of(trace)
    if trace.name is not None:
        found[NAME_TAG] = trace.name
    if trace.n_spans:
        found[SPANS_TAG] = IN_STORE
    return found


def files_of(trace: Trace) -> str:
    """Give the location of the files of a trace."""
    location = artifact_location(trace.experiment_number, trace.artifact_location)
    return below(location, f"traces/{trace.id}/artifacts")


def stored_span(span: Span) -> dict[str, Any]:
    """Give a span as clients keep it in `traces.json`: each attribute as a JSON text."""
    attributes = {**span.attributes, "mlflow.traceRequestId": span.trace_id}
    return {
        "trace_id": binary_id(span.trace_id.removeprefix("tr-"), 16),
        "span_id": binary_id(span.id, 8),
        "parent_span_id": None if span.parent is None else binary_id(span.parent, 8),
        "name": span.name,
        **({} if span.kind is SpanKind.INTERNAL else {"kind": kind_name(span)}),
        "start_time_unix_nano": span.started_ns,
        "end_time_unix_nano": span.ended_ns,
        "events": [
            {"name": event.name, "time_unix_nano": event.at_ns, "attributes": event.attributes}
            for event in span.events
        ],
        "status": {"code": f"STATUS_CODE_{span.status.value}", "message": span.message},
        "attributes": {key: json.dumps(value, ensure_ascii=False) for key, value in attributes.items()},
        "links": [
            {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": link.attributes or None}
            for link in span.links
        ],
    }


def _duration_ms(text: str | None) -> int | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise invalid_parameter("trace.trace_info.execution_duration", text)
    sign, seconds, fraction = match[1], int(match[2]), (match[3] or "").ljust(3, "0")[:3]
    length_ms = seconds * 1_000 + int(fraction)
    return -length_ms if sign else length_ms


def _sent_duration(length_ms: int) -> str:
    seconds, rest = divmod(abs(length_ms), 1_000)
    sign = "-" if length_ms < 0 else ""
    return f"{sign}{seconds}.{rest:03d}s" if rest else f"{sign}{seconds}s"


def _usage(text: str | None) -> Usage | None:
    found = _object(text)
    return (
        None if found is None else Usage(**{name: whole(found.get(name)) for name in Usage.__struct_fields__})
    )


def _cost(text: str | None) -> Cost | None:
    found = _object(text)
    return (
        None if found is None else Cost(**{name: finite(found.get(name)) for name in Cost.__struct_fields__})
    )


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
