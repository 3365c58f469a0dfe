"""Past estimates of quality, and what labels said of the same answers afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "monitoring_0005"
down_revision = "monitoring_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "monitor_estimates", sa.Column("label_position", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_table(
        "monitor_estimate_points",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
