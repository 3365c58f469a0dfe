"""Traces with their spans and assessments, and evaluation data sets."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "tracking_0004"
down_revision = "tracking_0003"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STATES = "state in ('STATE_UNSPECIFIED', 'OK', 'ERROR', 'IN_PROGRESS')"
KINDS = "kind in ('feedback', 'expectation', 'issue')"
HEAD = "substr(value, 1, 64)"


def upgrade() -> None:
    _create_traces()
    _create_values()
    _create_spans()
    _create_links()
    _create_assessments()
    _create_evaluation_datasets()
    _create_evaluation_records()


def _create_traces() -> None:
    op.create_table(
        "traces",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        _owner("experiment_pk", "experiments.pk"),
        sa.Column("name", BYTEWISE),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("client_request_id", BYTEWISE),
        sa.Column("session", BYTEWISE),
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
        sa.CheckConstraint(STATES, name="traces_state"),
    )
    newest = (sa.text("started_ms desc"), "id")
    op.create_index("traces_by_time", "traces", ["experiment_pk", *newest])
    op.create_index("traces_by_state", "traces", ["experiment_pk", "state", *newest])
    op.create_index("traces_by_name", "traces", ["experiment_pk", "name", *newest])
    op.create_index("traces_by_session", "traces", ["experiment_pk", "session", *newest])
    op.create_index("traces_by_client_request", "traces", ["experiment_pk", "client_request_id"])


def _create_values() -> None:
    op.create_table(
        "trace_values",
        _key("trace_pk", "traces.pk"),
        sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column(
            "key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False
        ),
        sa.Column("value", BYTEWISE, nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "trace_values_by_value",
        "trace_values",
        ["experiment_pk", "kind", "key_pk", sa.text(HEAD), "trace_pk"],
    )


def _create_spans() -> None:
    op.create_table(
        "trace_spans",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        _owner("trace_pk", "traces.pk"),
        sa.Column("span_id", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("type", BYTEWISE),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_ns", sa.BigInteger),
        sa.Column("model", BYTEWISE),
        sa.Column("provider", BYTEWISE),
        sa.Column("input_cost", sa.Double),
        sa.Column("output_cost", sa.Double),
        sa.Column("total_cost", sa.Double),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("trace_pk", "span_id", name="trace_spans_by_trace"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # It is compressed already; trying again would cost more than writing it.
        op.execute("alter table trace_spans alter column data set storage external")


def _create_links() -> None:
    op.create_table(
        "trace_runs",
        _key("run_pk", "runs.pk"),
        sa.Column("trace_id", BYTEWISE, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("trace_runs_by_trace", "trace_runs", ["trace_id"])
    op.create_table(
        "trace_prompts",
        _key("trace_pk", "traces.pk"),
        sa.Column("prompt", BYTEWISE, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("trace_prompts_by_prompt", "trace_prompts", ["prompt", "trace_pk"])


def _create_assessments() -> None:
    op.create_table(
        "trace_assessments",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        _owner("trace_pk", "traces.pk"),
        sa.Column("experiment_pk", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("value", BYTEWISE, nullable=False),
        sa.Column("aggregate", sa.Double),
        sa.Column("is_number", sa.SmallInteger, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text),
        sa.Column("span_id", sa.Text),
        sa.Column("rationale", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("is_of_session", sa.SmallInteger, nullable=False),
        sa.Column("overrides", sa.Text),
        sa.Column("is_valid", sa.SmallInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.CheckConstraint(KINDS, name="trace_assessments_kind"),
    )
    op.create_index("trace_assessments_by_trace", "trace_assessments", ["trace_pk", "created_ms"])
    op.create_index("trace_assessments_by_name", "trace_assessments", ["experiment_pk", "kind", "name"])


def _create_evaluation_datasets() -> None:
    op.create_table(
        "evaluation_datasets",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("schema", sa.Text),
        sa.Column("n_records", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("created_by", BYTEWISE),
        sa.Column("updated_by", BYTEWISE),
    )
    newest = (sa.text("created_ms desc"), "id")
    op.create_index("evaluation_datasets_by_time", "evaluation_datasets", ["project_pk", *newest])
    op.create_index("evaluation_datasets_by_name", "evaluation_datasets", ["project_pk", "name"])
    op.create_table(
        "evaluation_dataset_tags",
        _key("dataset_pk", "evaluation_datasets.pk"),
        sa.Column("key", BYTEWISE, primary_key=True),
        sa.Column("value", BYTEWISE, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "evaluation_dataset_experiments",
        _key("dataset_pk", "evaluation_datasets.pk"),
        _key("experiment_pk", "experiments.pk"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "evaluation_dataset_experiments_by_experiment",
        "evaluation_dataset_experiments",
        ["experiment_pk", "dataset_pk"],
    )


def _create_evaluation_records() -> None:
    op.create_table(
        "evaluation_records",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        _owner("dataset_pk", "evaluation_datasets.pk"),
        sa.Column("input_digest", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text),
        sa.Column("expectations", sa.Text),
        sa.Column("tags", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("updated_by", sa.Text),
        sa.UniqueConstraint("dataset_pk", "input_digest", name="evaluation_records_by_input"),
    )
    op.create_index("evaluation_records_by_time", "evaluation_records", ["dataset_pk", "created_ms", "id"])


def _owner(name: str, target: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False)


def _key(name: str, target: str) -> sa.Column[Any]:
    foreign = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger, foreign, primary_key=True, autoincrement=False)
