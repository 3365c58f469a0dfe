"""Tables of traces.

A trace is a row that holds what searches order by; tags and metadata are rows of `trace_values`, found by value within
an experiment. Each span is a row of its own, because programs send the spans of one trace in many requests: what
searches and statistics ask for stands in columns, everything else is packed in `data`. Whatever belongs to a trace
goes with it.
"""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    JsonText,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    pk,
    text,
)
from noria.tracking.traces.assessment_entities import AssessmentError

TAG = 0
METADATA = 1

HEAD_CHARS = 64
"""How much of a value is indexed; PostgreSQL's indexes hold no long texts."""

_HEAD_OF_VALUE = text(f"substr(value, 1, {HEAD_CHARS})")


def _owner(name: str, target: str, **options: Any) -> Any:
    return Column(name, BigInteger, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def _key(name: str, target: str) -> Any:
    return _owner(name, target, primary_key=True, autoincrement=False)


traces = Table(
    "traces",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    _owner("experiment_pk", "experiments.pk"),
    Column("name", BytewiseText),
    Column("state", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("client_request_id", BytewiseText),
    Column("session", BytewiseText),
    Column("request", Text),
    Column("response", Text),
    Column("is_final", SmallInteger, nullable=False),
    Column("n_spans", BigInteger, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("cache_read_input_tokens", BigInteger),
    Column("cache_creation_input_tokens", BigInteger),
    Column("cache_creation_input_tokens_above_1hr", BigInteger),
    Column("input_cost", Double),
    Column("output_cost", Double),
    Column("total_cost", Double),
    CheckConstraint("state in ('STATE_UNSPECIFIED', 'OK', 'ERROR', 'IN_PROGRESS')", name="traces_state"),
    Index("traces_by_time", "experiment_pk", text("started_ms desc"), "id"),
    Index("traces_by_state", "experiment_pk", "state", text("started_ms desc"), "id"),
    Index("traces_by_name", "experiment_pk", "name", text("started_ms desc"), "id"),
    Index("traces_by_session", "experiment_pk", "session", text("started_ms desc"), "id"),
    Index("traces_by_client_request", "experiment_pk", "client_request_id"),
)

trace_values = Table(
    "trace_values",
    _key("trace_pk", "traces.pk"),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("key_pk", BigInteger, ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False),
    Column("value", BytewiseText, nullable=False),
    Column("experiment_pk", BigInteger, nullable=False),
    Index("trace_values_by_value", "experiment_pk", "kind", "key_pk", _HEAD_OF_VALUE, "trace_pk"),
    sqlite_with_rowid=False,
)

# With a row number of its own on SQLite, so that the narrow columns are read without the packed rest.
trace_spans = Table(
    "trace_spans",
    pk(),
    _owner("trace_pk", "traces.pk"),
    Column("span_id", Text, nullable=False),
    Column("parent_id", Text),
    Column("name", BytewiseText, nullable=False),
    Column("type", BytewiseText),
    Column("status", Text, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("model", BytewiseText),
    Column("provider", BytewiseText),
    Column("input_cost", Double),
    Column("output_cost", Double),
    Column("total_cost", Double),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("trace_pk", "span_id", name="trace_spans_by_trace"),
)

# By the trace's id: a program may tell what a trace has to do with a run before the trace itself has arrived.
trace_runs = Table(
    "trace_runs",
    _key("run_pk", "runs.pk"),
    Column("trace_id", BytewiseText, primary_key=True),
    Index("trace_runs_by_trace", "trace_id"),
    sqlite_with_rowid=False,
)

trace_prompts = Table(
    "trace_prompts",
    _key("trace_pk", "traces.pk"),
    Column("prompt", BytewiseText, primary_key=True),
    Index("trace_prompts_by_prompt", "prompt", "trace_pk"),
    sqlite_with_rowid=False,
)

# `aggregate` is what statistics take the value for: a number, or 1 and 0 for what is true or false, yes or no.
trace_assessments = Table(
    "trace_assessments",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    _owner("trace_pk", "traces.pk"),
    Column("experiment_pk", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("value", BytewiseText, nullable=False),
    Column("aggregate", Double),
    Column("is_number", SmallInteger, nullable=False),
    Column("error", JsonText(AssessmentError)),
    Column("source", Text, nullable=False),
    Column("source_id", Text),
    Column("span_id", Text),
    Column("rationale", Text),
    Column("metadata", JsonText(dict[str, str])),
    Column("is_of_session", SmallInteger, nullable=False),
    Column("overrides", Text),
    Column("is_valid", SmallInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    CheckConstraint("kind in ('feedback', 'expectation', 'issue')", name="trace_assessments_kind"),
    Index("trace_assessments_by_trace", "trace_pk", "created_ms"),
    Index("trace_assessments_by_name", "experiment_pk", "kind", "name"),
)
