"""Tables of traces.

A trace is a row that holds what searches order by; tags and metadata are rows of `trace_values`, found by value within
an experiment. Each span is a row of its own, because programs send the spans of one trace in many requests: what
searches and statistics ask for stands in columns, everything else is packed in `data`. Whatever belongs to a trace
goes with it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, metadata, pk
from noria.tracking.traces.assessment_entities import AssessmentError

TAG = 0
METADATA = 1

HEAD_CHARS = 64
"""How much of a value is indexed; PostgreSQL's indexes hold no long texts."""

_HEAD_OF_VALUE = sa.text(f"substr(value, 1, {HEAD_CHARS})")


def _owner(name: str, target: str, **options: Any) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False, **options
    )


def _key(name: str, target: str) -> sa.Column[int]:
    return _owner(name, target, primary_key=True, autoincrement=False)


traces = sa.Table(
    "traces",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    _owner("experiment_pk", "experiments.pk"),
    sa.Column("name", BytewiseText),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started_ms", sa.BigInteger, nullable=False),
    sa.Column("duration_ms", sa.BigInteger),
    sa.Column("client_request_id", BytewiseText),
    sa.Column("session", BytewiseText),
    sa.Column("request", sa.Text),
    sa.Column("response", sa.Text),
    sa.Column("is_final", sa.SmallInteger, nullable=False),
    sa.Column("n_spans", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("total_tokens", sa.BigInteger),
    sa.Column("cache_read_input_tokens", sa.BigInteger),
    sa.Column("cache_creation_input_tokens", sa.BigInteger),
    sa.Column("cache_creation_input_tokens_above_1hr", sa.BigInteger),
    sa.Column("input_cost", sa.Double),
    sa.Column("output_cost", sa.Double),
    sa.Column("total_cost", sa.Double),
    sa.CheckConstraint("state in ('STATE_UNSPECIFIED', 'OK', 'ERROR', 'IN_PROGRESS')", name="traces_state"),
    sa.Index("traces_by_time", "experiment_pk", sa.text("started_ms desc"), "id"),
    sa.Index("traces_by_state", "experiment_pk", "state", sa.text("started_ms desc"), "id"),
    sa.Index("traces_by_name", "experiment_pk", "name", sa.text("started_ms desc"), "id"),
    sa.Index("traces_by_session", "experiment_pk", "session", sa.text("started_ms desc"), "id"),
    sa.Index("traces_by_client_request", "experiment_pk", "client_request_id"),
)

trace_values = sa.Table(
    "trace_values",
    metadata,
    _key("trace_pk", "traces.pk"),
    sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column(
        "key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Index("trace_values_by_value", "experiment_pk", "kind", "key_pk", _HEAD_OF_VALUE, "trace_pk"),
    sqlite_with_rowid=False,
)

# With a row number of its own on SQLite, so that the narrow columns are read without the packed rest.
trace_spans = sa.Table(
    "trace_spans",
    metadata,
    pk(),
    _owner("trace_pk", "traces.pk"),
    sa.Column("span_id", sa.Text, nullable=False),
    sa.Column("parent_id", sa.Text),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("type", BytewiseText),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_ns", sa.BigInteger, nullable=False),
    sa.Column("ended_ns", sa.BigInteger),
    sa.Column("model", BytewiseText),
    sa.Column("provider", BytewiseText),
    sa.Column("input_cost", sa.Double),
    sa.Column("output_cost", sa.Double),
    sa.Column("total_cost", sa.Double),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("trace_pk", "span_id", name="trace_spans_by_trace"),
)

# By the trace's id: a program may tell what a trace has to do with a run before the trace itself has arrived.
trace_runs = sa.Table(
    "trace_runs",
    metadata,
    _key("run_pk", "runs.pk"),
    sa.Column("trace_id", BytewiseText, primary_key=True),
    sa.Index("trace_runs_by_trace", "trace_id"),
    sqlite_with_rowid=False,
)

trace_prompts = sa.Table(
    "trace_prompts",
    metadata,
    _key("trace_pk", "traces.pk"),
    sa.Column("prompt", BytewiseText, primary_key=True),
    sa.Index("trace_prompts_by_prompt", "prompt", "trace_pk"),
    sqlite_with_rowid=False,
)

# `aggregate` is what statistics take the value for: a number, or 1 and 0 for what is true or false, yes or no.
trace_assessments = sa.Table(
    "trace_assessments",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    _owner("trace_pk", "traces.pk"),
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Column("aggregate", sa.Double),
    sa.Column("is_number", sa.SmallInteger, nullable=False),
    sa.Column("error", JsonText(AssessmentError)),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text),
    sa.Column("span_id", sa.Text),
    sa.Column("rationale", sa.Text),
    sa.Column("metadata", JsonText(dict[str, str])),
    sa.Column("is_of_session", sa.SmallInteger, nullable=False),
    sa.Column("overrides", sa.Text),
    sa.Column("is_valid", sa.SmallInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("kind in ('feedback', 'expectation', 'issue')", name="trace_assessments_kind"),
    sa.Index("trace_assessments_by_trace", "trace_pk", "created_ms"),
    sa.Index("trace_assessments_by_name", "experiment_pk", "kind", "name"),
)
