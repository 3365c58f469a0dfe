"""The newest estimate of quality of each endpoint."""

import sqlalchemy as sa
from alembic import op

revision = "monitoring_0004"
down_revision = "monitoring_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_estimates",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
