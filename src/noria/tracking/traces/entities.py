"""Traces and their spans."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from noria.core.serialisation import Instant
from noria.tracking.traces.assessment_entities import Assessment, NewAssessment


class TraceState(enum.StrEnum):
    """Where a trace stands, in the words of OpenTelemetry's world."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"


class SpanStatus(enum.StrEnum):
    """How a span ended."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


class SpanKind(enum.StrEnum):
    """Whom a span speaks with, as OpenTelemetry tells it: nobody else, or another program at either end."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happened at a moment of a span, in nanoseconds since 1970."""

    name: str
    at_ns: int
    attributes: dict[str, Any] = {}


class SpanLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span of this or another trace that has to do with the one that holds the link."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a trace.

    Attributes
    ----------
    trace_id
        `tr-` and 32 digits out of 0-9 and a-f when the trace came by OpenTelemetry.
    id
        16 digits out of 0-9 and a-f; unique in the trace.
    parent
        The span inside which this one ran; None for a root.
    started_ns, ended_ns
        Nanoseconds since 1970, UTC; `ended_ns` is None while it runs.
    attributes
        JSON values by name. `conventions.py` lists the names that mean something here.
    """

    trace_id: str
    id: str
    name: str
    started_ns: int
    ended_ns: int | None = None
    parent: str | None = None
    status: SpanStatus = SpanStatus.UNSET
    message: str = ""
    kind: SpanKind = SpanKind.INTERNAL
    attributes: dict[str, Any] = {}
    events: list[SpanEvent] = []
    links: list[SpanLink] = []


class SpanBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spans to keep, of any number of traces.

    Attributes
    ----------
    experiment
        Number of the experiment to which traces belong that are new.
    resources
        Trace → what produced it (`service.name`); kept as tags.
    """

    experiment: int
    spans: list[Span]
    resources: dict[str, dict[str, str]] = {}


class SpansKept(msgspec.Struct, frozen=True, kw_only=True):
    """How many spans were kept, and the traces whose root was among them."""

    n_spans: int
    ended_traces: list[str]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens that language models read and wrote; a count that nobody told is None."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_input_tokens_above_1hr: int | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What language models cost, in US dollars; a sum that nobody told is None."""

    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What a program did in one request.

    Attributes
    ----------
    experiment, experiment_number
        Where it belongs.
    artifact_location
        Where other clients were told to put files of the experiment; None for the store of this workspace.
    duration_ms
        None while it runs.
    client_request_id
        What the program itself calls the request.
    session
        Name that the traces of one conversation share.
    request, response
        Beginning of what went in and came out.
    is_final
        True once the program has told the trace's own times and sums; those of its spans no longer change them.
    spans
        Roots first, then by start; None when they were not asked for.
    """

    id: str
    project: str
    experiment: str
    experiment_number: int
    state: TraceState
    started_at: datetime
    artifact_location: str | None = None
    duration_ms: int | None = None
    name: str | None = None
    client_request_id: str | None = None
    session: str | None = None
    request: str | None = None
    response: str | None = None
    usage: Usage = Usage()
    cost: Cost = Cost()
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: list[Assessment] = []
    is_final: bool = False
    n_spans: int = 0
    spans: list[Span] | None = None


class NewTrace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trace that a program tells of, besides its spans; what spans told already is replaced by what is given.

    Attributes
    ----------
    experiment
        Number of its experiment.
    is_final
        False for a trace that has only begun.
    """

    id: str
    experiment: int
    started_at: Instant
    state: TraceState = TraceState.UNSPECIFIED
    duration_ms: int | None = None
    name: str | None = None
    client_request_id: str | None = None
    session: str | None = None
    request: str | None = None
    response: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: list[NewAssessment] = []
    is_final: bool = True


class TraceEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How and when a trace ended, with metadata and tags to add."""

    state: TraceState
    ended_at: Instant
    name: str | None = None
    session: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}


class TracePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trace belongs."""

    trace_id: str
    project: str
    experiment_number: int


class TraceList(msgspec.Struct, frozen=True, kw_only=True):
    """Traces in the order asked for."""

    items: list[Trace]


class TracePage(msgspec.Struct, frozen=True, kw_only=True):
    """Traces, newest first unless asked otherwise; `next` continues after them, or is None at the end."""

    items: list[Trace]
    next: str | None


class TraceSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which traces are wanted.

    Attributes
    ----------
    experiments
        Numbers; those that the caller may not read, and those that do not exist, hold nothing.
    filter
        `status = 'OK' AND tags.env = 'prod'`; see the guide on traces.
    order_by
        `timestamp DESC`, `execution_time`, `tags.env`; newest first when there is none.
    after
        `next` of the page before.
    """

    experiments: list[int]
    filter: str = ""
    order_by: list[str] = []
    limit: int = 100
    after: str | None = None


class TraceIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces by their ids.

    Attributes
    ----------
    experiments
        Only those of these experiments (by number); None for all that the caller may read.
    spans
        Whether the spans are wanted too.
    """

    ids: list[str]
    experiments: list[int] | None = None
    spans: bool = False


class TraceDeletion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which traces of an experiment shall go: all to which each given condition applies, oldest first.

    Attributes
    ----------
    started_before
        Up to and including this moment.
    limit
        At most so many.
    """

    experiment: int
    ids: list[str] = []
    started_before: Instant | None = None
    limit: int | None = None


class TracesDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces went."""

    n_traces: int


class TraceTags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags to set; null removes one, which must be there."""

    tags: dict[str, str | None]


class TraceRunLinks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces that have to do with a run."""

    trace_ids: list[str]
    run_id: str


class TracePrompts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompts that a trace used, each as `name/version`."""

    prompts: list[str]
