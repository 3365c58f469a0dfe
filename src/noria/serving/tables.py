"""Tables of endpoints, rollouts, captured predictions and labels."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, UtcMicros, metadata, partial_index, pk
from noria.serving.entities import Approval, Approvals, Cascade, RolloutStep, Share, StepResult, WarmVersion
from noria.serving.gate_rules import Gates
from noria.serving.plans import AppliedPlan, LogLine, ServerStanding
from noria.serving.sums import PairStats, RowSums

endpoints = sa.Table(
    "endpoints",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("shares", JsonText(list[Share]), nullable=False),
    # Version → digest of its tree, for the versions in `shares` and those before.
    sa.Column("digests", JsonText(dict[int, str]), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("deleted_at", UtcMicros),
    sa.Column("shadows", JsonText(list[Share])),
    sa.Column("warm", JsonText(list[WarmVersion])),
    sa.Column("cascade", JsonText(Cascade)),
    # A deleted endpoint keeps what it captured and gives its name free.
    sa.Index(
        "endpoints_by_name",
        "project_pk",
        "name",
        unique=True,
        sqlite_where=sa.text("deleted_at is null"),
        postgresql_where=sa.text("deleted_at is null"),
    ),
)

rollouts = sa.Table(
    "rollouts",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("from_version", sa.BigInteger),
    sa.Column("to_version", sa.BigInteger, nullable=False),
    sa.Column("steps", JsonText(list[RolloutStep]), nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("gates", JsonText(Gates), nullable=False),
    sa.Column("patience_s", sa.Float),
    sa.Column("history", JsonText(list[StepResult]), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("decision_id", sa.Text),
    sa.Column("alias", sa.Text),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("step_started_at", UtcMicros),
    sa.Column("ended_at", UtcMicros),
    # Revisions of the endpoint under which the rollout and its present step began: predictions are counted by them.
    sa.Column("first_endpoint_revision", sa.BigInteger, nullable=False),
    sa.Column("step_endpoint_revision", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    # None in what was written before there was such a thing.
    sa.Column("promotes", sa.Boolean),
    sa.Column("approvals", JsonText(Approvals)),
    sa.Column("approved", JsonText(list[Approval])),
    sa.Column("keep_warm_s", sa.Float),
    sa.Column("is_rollback", sa.Boolean),
    sa.Column("baked_s", sa.Float),
    sa.Column("looked_at", UtcMicros),
    sa.Index("rollouts_by_endpoint", "endpoint_pk", "pk"),
    sa.Index("rollouts_by_decision", "decision_id"),
    # Two rollouts on one endpoint cannot be, whoever writes at once.
    sa.Index(
        "rollouts_under_way",
        "endpoint_pk",
        unique=True,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    ),
)

endpoint_options = sa.Table(
    "endpoint_options",
    metadata,
    # An endpoint without a row asks for no key, and all that it answers is captured.
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
    sa.Column("guarded", sa.Boolean, nullable=False),
    sa.Column("capture_share", sa.Float, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

endpoint_keys = sa.Table(
    "endpoint_keys",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("rate_per_s", sa.Float),
    sa.Column("burst", sa.BigInteger),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("revoked_at", UtcMicros),
    sa.Index("endpoint_keys_by_endpoint", "endpoint_pk", "pk"),
)

model_servers = sa.Table(
    "model_servers",
    metadata,
    sa.Column("server", sa.Text, primary_key=True),
    sa.Column("url", sa.Text),
    sa.Column("seen_at", UtcMicros, nullable=False),
    sa.Column("endpoints", JsonText(list[AppliedPlan]), nullable=False),
    sa.Column("n_dropped", sa.BigInteger, nullable=False),
    sa.Column("standing", JsonText(ServerStanding)),
    sa.Index("model_servers_by_seen", "seen_at"),
)

endpoint_logs = sa.Table(
    "endpoint_logs",
    metadata,
    # What the model servers of an endpoint logged, by five minutes.
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
    sa.Column("starts_at", UtcMicros, primary_key=True),
    sa.Column("n_warnings", sa.BigInteger, nullable=False),
    sa.Column("n_errors", sa.BigInteger, nullable=False),
    sa.Column("line", JsonText(LogLine)),
)

capture_chunks = sa.Table(
    "capture_chunks",
    metadata,
    # Answered requests, packed (`serving/packing`); each row of them has a position. Appends to one endpoint queue, so
    # positions are in the order of commit. The last one is the key: what lies behind a position begins with it.
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
    sa.Column("last_position", sa.BigInteger, primary_key=True),
    sa.Column("first_position", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sa.Column("oldest_version", sa.BigInteger, nullable=False),
    sa.Column("newest_version", sa.BigInteger, nullable=False),
    sa.Column("heads", sa.LargeBinary, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    # Rows that nobody was given: of shadows, and of a cascade's first version.
    sa.Column("n_others", sa.BigInteger, nullable=False, server_default="0"),
)

capture_ids = sa.Table(
    "capture_ids",
    metadata,
    # By the id of the first row of what was captured at once, so that it is kept once and found.
    sa.Column("id", BytewiseText, primary_key=True),
    sa.Column("endpoint_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

labels = sa.Table(
    "labels",
    metadata,
    # The key is the order of arrival, for the same reason.
    pk(),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
    sa.Column("value", JsonText(), nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("n_contradictions", sa.BigInteger, nullable=False),
    # None for those that are trusted.
    sa.Column("trust", sa.Text),
    sa.Column("client", sa.Text),
    sa.Column("received_at", UtcMicros),
    sa.Column("n_corrections", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("endpoint_pk", "position", name="labels_by_row"),
    sa.Index("labels_by_position", "endpoint_pk", "pk"),
    partial_index("labels_untrusted", "endpoint_pk", "client", "received_at", where="trust is not null"),
)

label_history = sa.Table(
    "label_history",
    metadata,
    # Values that were given for a prediction and do not stand.
    pk(),
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("value", JsonText(), nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("trust", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Index("label_history_by_row", "endpoint_pk", "position"),
)

capture_counts = sa.Table(
    "capture_counts",
    metadata,
    # Kept up to date with every append and label, so that gates cost the same however much was captured.
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("n_requests", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sa.Column("n_errors", sa.BigInteger, nullable=False),
    sa.Column("latency_sum_us", sa.Float, nullable=False),
    sa.Column("latency_sum_squares", sa.Float, nullable=False),
    sa.Column("latency_buckets", JsonText(dict[int, int]), nullable=False),
    sa.Column("n_labelled", sa.BigInteger, nullable=False),
    sa.Column("n_judged", sa.BigInteger, nullable=False),
    sa.Column("n_correct", sa.BigInteger, nullable=False),
    sa.Column("n_measured", sa.BigInteger, nullable=False),
    sa.Column("abs_error_sum", sa.Float, nullable=False),
    sa.Column("abs_error_sum_squares", sa.Float, nullable=False),
    sa.Column("sums", JsonText(RowSums)),
)

pair_counts = sa.Table(
    "pair_counts",
    metadata,
    # Rows that `version` predicted beside the answers of `against`.
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("against", sa.BigInteger, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("stats", JsonText(PairStats), nullable=False),
)
