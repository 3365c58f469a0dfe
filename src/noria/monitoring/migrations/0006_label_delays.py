"""How long labels take to come, and what came by when the answers were given."""

import sqlalchemy as sa
from alembic import op

revision = "monitoring_0006"
down_revision = "monitoring_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_label_delays",
        sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
