"""What was applied to each schedule, one revision after the other, and which of them runs."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0004"
down_revision = "pipelines_0003"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "schedule_revisions",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("applied_by", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("schedule_pk", "number", name="schedule_revisions_by_number"),
    )
    op.add_column("schedules", sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("schedules", sa.Column("newest", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("schedules", sa.Column("pin", sa.Text))
    op.add_column("schedule_runs", sa.Column("revision", sa.BigInteger))
    op.add_column("schedule_runs", sa.Column("run_id", sa.Text))
    op.create_index("schedule_runs_by_run", "schedule_runs", ["run_id"])
    op.execute(
        "INSERT INTO schedule_revisions (schedule_pk, number, spec, snapshot, applied_by, role, applied_at) "
        "SELECT pk, 1, spec, snapshot, applied_by, role, applied_at FROM schedules WHERE status <> 'removed'"
    )
