"""Batch runs, and named batches with two slots."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0006"
down_revision = "serving_0004"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("live", sa.Text, nullable=False),
        sa.Column("pointed", sa.Text),
        sa.Column("slots", sa.Text, nullable=False),
        sa.Column("comparison", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("switched_at", sa.BigInteger),
        sa.Column("switched_by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint("project_pk", "name", name="batches_by_name"),
    )
    op.create_table(
        "batch_runs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("batch_pk", sa.BigInteger, sa.ForeignKey("batches.pk")),
        sa.Column("slot", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("once", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("input_digest", sa.Text),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("n_rows", sa.BigInteger),
        sa.Column("n_done", sa.BigInteger, nullable=False),
        sa.Column("n_unfit", sa.BigInteger, nullable=False),
        sa.Column("n_duplicates", sa.BigInteger),
        sa.Column("chunk_rows", sa.BigInteger),
        sa.Column("n_workers", sa.BigInteger, nullable=False),
        sa.Column("engine", sa.Text),
        sa.Column("predict_s", sa.Float),
        sa.Column("written", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.UniqueConstraint("project_pk", "once", name="batch_runs_once"),
    )
    unfinished = sa.text("status <> 'succeeded'")
    op.create_index(
        "batch_runs_unfinished",
        "batch_runs",
        ["project_pk", "identity"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_index("batch_runs_by_project", "batch_runs", ["project_pk", "pk"])
    op.create_index("batch_runs_by_batch", "batch_runs", ["batch_pk", "pk"])
    op.create_index("batch_runs_by_model", "batch_runs", ["project_pk", "model", "pk"])
