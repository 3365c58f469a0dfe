"""Tables of endpoints, rollouts, captured predictions and labels."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    BytewiseText,
    Column,
    Float,
    ForeignKey,
    Index,
    JsonText,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    partial_index,
    pk,
    text,
)
from noria.serving.entities import Approval, Approvals, Cascade, RolloutStep, Share, StepResult, WarmVersion
from noria.serving.gate_rules import Gates
from noria.serving.plans import AppliedPlan, LogLine, ServerStanding
from noria.serving.sums import PairStats, RowSums

endpoints = Table(
    "endpoints",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("shares", JsonText(list[Share]), nullable=False),
    # Version → digest of its tree, for the versions in `shares` and those before.
    Column("digests", JsonText(dict[int, str]), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("deleted_at", UtcMicros),
    Column("shadows", JsonText(list[Share])),
    Column("warm", JsonText(list[WarmVersion])),
    Column("cascade", JsonText(Cascade)),
    # A deleted endpoint keeps what it captured and gives its name free.
    Index(
        "endpoints_by_name",
        "project_pk",
        "name",
        unique=True,
        sqlite_where=text("deleted_at is null"),
        postgresql_where=text("deleted_at is null"),
    ),
)

rollouts = Table(
    "rollouts",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("from_version", BigInteger),
    Column("to_version", BigInteger, nullable=False),
    Column("steps", JsonText(list[RolloutStep]), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("gates", JsonText(Gates), nullable=False),
    Column("patience_s", Float),
    Column("history", JsonText(list[StepResult]), nullable=False),
    Column("reason", Text),
    Column("decision_id", Text),
    Column("alias", Text),
    Column("started_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("step_started_at", UtcMicros),
    Column("ended_at", UtcMicros),
    # Revisions of the endpoint under which the rollout and its present step began: predictions are counted by them.
    Column("first_endpoint_revision", BigInteger, nullable=False),
    Column("step_endpoint_revision", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # None in what was written before there was such a thing.
    Column("promotes", Boolean),
    Column("approvals", JsonText(Approvals)),
    Column("approved", JsonText(list[Approval])),
    Column("keep_warm_s", Float),
    Column("is_rollback", Boolean),
    Column("baked_s", Float),
    Column("looked_at", UtcMicros),
    Index("rollouts_by_endpoint", "endpoint_pk", "pk"),
    Index("rollouts_by_decision", "decision_id"),
    # Two rollouts on one endpoint cannot be, whoever writes at once.
    Index(
        "rollouts_under_way",
        "endpoint_pk",
        unique=True,
        sqlite_where=text("ended_at is null"),
        postgresql_where=text("ended_at is null"),
    ),
)

endpoint_options = Table(
    "endpoint_options",
    # An endpoint without a row asks for no key, and all that it answers is captured.
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), primary_key=True),
    Column("guarded", Boolean, nullable=False),
    Column("capture_share", Float, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

endpoint_keys = Table(
    "endpoint_keys",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), nullable=False),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("rate_per_s", Float),
    Column("burst", BigInteger),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("revoked_at", UtcMicros),
    Index("endpoint_keys_by_endpoint", "endpoint_pk", "pk"),
)

model_servers = Table(
    "model_servers",
    Column("server", Text, primary_key=True),
    Column("url", Text),
    Column("seen_at", UtcMicros, nullable=False),
    Column("endpoints", JsonText(list[AppliedPlan]), nullable=False),
    Column("n_dropped", BigInteger, nullable=False),
    Column("standing", JsonText(ServerStanding)),
    Index("model_servers_by_seen", "seen_at"),
)

endpoint_logs = Table(
    "endpoint_logs",
    # What the model servers of an endpoint logged, by five minutes.
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), primary_key=True),
    Column("starts_at", UtcMicros, primary_key=True),
    Column("n_warnings", BigInteger, nullable=False),
    Column("n_errors", BigInteger, nullable=False),
    Column("line", JsonText(LogLine)),
)

capture_chunks = Table(
    "capture_chunks",
    # Answered requests, packed (`serving/packing`); each row of them has a position. Appends to one endpoint queue, so
    # positions are in the order of commit. The last one is the key: what lies behind a position begins with it.
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), primary_key=True),
    Column("last_position", BigInteger, primary_key=True),
    Column("first_position", BigInteger, nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("oldest_version", BigInteger, nullable=False),
    Column("newest_version", BigInteger, nullable=False),
    Column("heads", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    # Rows that nobody was given: of shadows, and of a cascade's first version.
    Column("n_others", BigInteger, nullable=False, server_default="0"),
)

capture_ids = Table(
    "capture_ids",
    # By the id of the first row of what was captured at once, so that it is kept once and found.
    Column("id", BytewiseText, primary_key=True),
    Column("endpoint_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

labels = Table(
    "labels",
    # The key is the order of arrival, for the same reason.
    pk(),
    Column("position", BigInteger, nullable=False),
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), nullable=False),
    Column("value", JsonText(), nullable=False),
    Column("at", UtcMicros, nullable=False),
    Column("source", Text),
    Column("n_contradictions", BigInteger, nullable=False),
    # None for those that are trusted.
    Column("trust", Text),
    Column("client", Text),
    Column("received_at", UtcMicros),
    Column("n_corrections", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("endpoint_pk", "position", name="labels_by_row"),
    Index("labels_by_position", "endpoint_pk", "pk"),
    partial_index("labels_untrusted", "endpoint_pk", "client", "received_at", where="trust is not null"),
)

label_history = Table(
    "label_history",
    # Values that were given for a prediction and do not stand.
    pk(),
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("value", JsonText(), nullable=False),
    Column("source", Text),
    Column("trust", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("at", UtcMicros, nullable=False),
    Index("label_history_by_row", "endpoint_pk", "position"),
)

capture_counts = Table(
    "capture_counts",
    # Kept up to date with every append and label, so that gates cost the same however much was captured.
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("n_requests", BigInteger, nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("n_errors", BigInteger, nullable=False),
    Column("latency_sum_us", Float, nullable=False),
    Column("latency_sum_squares", Float, nullable=False),
    Column("latency_buckets", JsonText(dict[int, int]), nullable=False),
    Column("n_labelled", BigInteger, nullable=False),
    Column("n_judged", BigInteger, nullable=False),
    Column("n_correct", BigInteger, nullable=False),
    Column("n_measured", BigInteger, nullable=False),
    Column("abs_error_sum", Float, nullable=False),
    Column("abs_error_sum_squares", Float, nullable=False),
    Column("sums", JsonText(RowSums)),
)

pair_counts = Table(
    "pair_counts",
    # Rows that `version` predicted beside the answers of `against`.
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("against", BigInteger, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("stats", JsonText(PairStats), nullable=False),
)
