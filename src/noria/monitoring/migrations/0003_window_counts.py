"""Counters of windows by version and segment, their history, quality by segment, and the segment of an alert."""

import sqlalchemy as sa
from alembic import op

revision = "monitoring_0003"
down_revision = "monitoring_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_counts",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("index", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "monitor_history",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("psi", sa.Text, nullable=False),
    )
    op.create_table(
        "monitor_segments",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.add_column("monitors", sa.Column("cutting", sa.Text))
    op.add_column("alerts", sa.Column("segment", sa.Text))
