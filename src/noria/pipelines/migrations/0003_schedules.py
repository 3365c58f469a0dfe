"""Schedules with their runs, backfills and notices; queues of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0003"
down_revision = "pipelines_0002"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state in ('waiting', 'running')")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queue", sa.Text, nullable=False, server_default="default"))
    _create_schedules()
    _create_runs()
    _create_notices()


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("applied_by", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
        sa.Column("next_start", sa.BigInteger),
        sa.Column("next_due", sa.BigInteger),
        sa.Column("since_position", sa.BigInteger, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("n_failures", sa.BigInteger, nullable=False),
        sa.CheckConstraint("status in ('active', 'paused', 'removed')", name="schedules_status"),
        sa.UniqueConstraint("project_pk", "name", name="schedules_by_name"),
    )
    op.create_table(
        "schedule_backfills",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("at_once", sa.BigInteger, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("stopped_at", sa.BigInteger),
    )


def _create_runs() -> None:
    op.create_table(
        "schedule_runs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("interval_start", sa.BigInteger),
        sa.Column("interval_end", sa.BigInteger),
        sa.Column("job_id", sa.Text),
        sa.Column("backfill_pk", sa.BigInteger, sa.ForeignKey("schedule_backfills.pk")),
        sa.Column("reason", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.CheckConstraint(
            "state in ('waiting', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')",
            name="schedule_runs_state",
        ),
        sa.UniqueConstraint("schedule_pk", "key", name="schedule_runs_by_key"),
    )
    op.create_index("schedule_runs_by_schedule", "schedule_runs", ["schedule_pk", "pk"])
    op.create_index("schedule_runs_by_backfill", "schedule_runs", ["backfill_pk"])
    op.create_index(
        "schedule_runs_open",
        "schedule_runs",
        ["schedule_pk", "pk"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )


def _create_notices() -> None:
    op.create_table(
        "schedule_notices",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("schedule_runs.pk"), nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("n_attempts", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.CheckConstraint("status in ('waiting', 'sent', 'failed')", name="schedule_notices_status"),
        sa.UniqueConstraint("run_pk", "attempt", "kind", "address", name="schedule_notices_once"),
    )
    op.create_index("schedule_notices_by_status", "schedule_notices", ["status", "due_at"])
