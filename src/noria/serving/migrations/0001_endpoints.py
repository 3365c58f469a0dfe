"""Endpoints, rollouts, model servers, captured predictions, labels and counts."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0001"
down_revision = None
branch_labels = ("serving",)
depends_on = ("access_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("shares", sa.Text, nullable=False),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index(
        "endpoints_by_name",
        "endpoints",
        ["project_pk", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at is null"),
        postgresql_where=sa.text("deleted_at is null"),
    )
    op.create_table(
        "rollouts",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("from_version", sa.BigInteger),
        sa.Column("to_version", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("gates", sa.Text, nullable=False),
        sa.Column("patience_s", sa.Float),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("decision_id", sa.Text),
        sa.Column("alias", sa.Text),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("step_started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("first_endpoint_revision", sa.BigInteger, nullable=False),
        sa.Column("step_endpoint_revision", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("rollouts_by_endpoint", "rollouts", ["endpoint_pk", "pk"])
    op.create_index("rollouts_by_decision", "rollouts", ["decision_id"])
    op.create_index(
        "rollouts_under_way",
        "rollouts",
        ["endpoint_pk"],
        unique=True,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "model_servers",
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("url", sa.Text),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("endpoints", sa.Text, nullable=False),
        sa.Column("n_dropped", sa.BigInteger, nullable=False),
    )
    op.create_index("model_servers_by_seen", "model_servers", ["seen_at"])
    op.create_table(
        "captures",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("prediction_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("row", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("latency_us", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("prediction_id", "endpoint_pk", name="captures_by_prediction"),
    )
    op.create_index("captures_by_position", "captures", ["endpoint_pk", "pk"])
    op.create_index("captures_by_version", "captures", ["endpoint_pk", "version", "pk"])
    op.create_table(
        "labels",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("capture_pk", sa.BigInteger, sa.ForeignKey("captures.pk"), nullable=False, unique=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("n_contradictions", sa.BigInteger, nullable=False),
    )
    op.create_index("labels_by_position", "labels", ["endpoint_pk", "pk"])
    op.create_table(
        "capture_counts",
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("n_requests", sa.BigInteger, nullable=False),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("n_errors", sa.BigInteger, nullable=False),
        sa.Column("latency_sum_us", sa.Float, nullable=False),
        sa.Column("latency_sum_squares", sa.Float, nullable=False),
        sa.Column("latency_buckets", sa.Text, nullable=False),
        sa.Column("n_labelled", sa.BigInteger, nullable=False),
        sa.Column("n_judged", sa.BigInteger, nullable=False),
        sa.Column("n_correct", sa.BigInteger, nullable=False),
        sa.Column("n_measured", sa.BigInteger, nullable=False),
        sa.Column("abs_error_sum", sa.Float, nullable=False),
        sa.Column("abs_error_sum_squares", sa.Float, nullable=False),
    )
