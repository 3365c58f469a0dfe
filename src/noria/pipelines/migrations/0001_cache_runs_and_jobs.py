"""The step cache, runs of pipelines with their steps, and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0001"
down_revision = None
branch_labels = ("pipelines",)
depends_on = ("tracking_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_cache()
    _create_runs()
    _create_jobs()


def _create_cache() -> None:
    op.create_table(
        "step_cache",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("followed", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("logged", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("project_pk", "key", "writer", name="step_cache_by_key"),
    )


def _create_runs() -> None:
    op.create_table(
        "pipeline_runs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("environment", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("n_steps", sa.BigInteger, nullable=False),
        sa.Column("n_reused", sa.BigInteger, nullable=False),
        sa.Column("n_failed", sa.BigInteger, nullable=False),
    )
    op.create_index("pipeline_runs_by_project", "pipeline_runs", ["project_pk", "pk"])
    op.create_index("pipeline_runs_by_pipeline", "pipeline_runs", ["project_pk", "pipeline", "pk"])
    op.create_index("pipeline_runs_by_lease", "pipeline_runs", ["lease_until"])
    op.create_table(
        "step_runs",
        sa.Column(
            "run_pk",
            sa.BigInteger,
            sa.ForeignKey("pipeline_runs.pk"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("occurrence", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("duration_us", sa.BigInteger, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("status in ('finished', 'failed', 'reused')", name="step_runs_status"),
    )
    op.create_table(
        "latest_steps",
        sa.Column(
            "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True, autoincrement=False
        ),
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("occurrence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("args", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("max_attempts", sa.BigInteger, nullable=False),
        sa.Column("timeout_s", sa.Double, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("claimed_by", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("key", sa.Text),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("routine", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="jobs_status"
        ),
        sa.UniqueConstraint("project_pk", "key", name="jobs_by_key"),
    )
    op.create_index("jobs_by_project", "jobs", ["project_pk", "pk"])
    op.create_index("jobs_by_status", "jobs", ["status", "not_before", "pk"])
    op.create_index("jobs_by_lease", "jobs", ["lease_until"])
    op.create_index("jobs_by_end", "jobs", ["routine", "ended_at"])
    op.create_table(
        "job_logs",
        sa.Column("job_pk", sa.BigInteger, sa.ForeignKey("jobs.pk"), primary_key=True, autoincrement=False),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
