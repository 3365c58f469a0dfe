"""What the strategies of rollouts need beside shares: shadows, warm versions, cascades, approvals."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0004"
down_revision = "serving_0007"
branch_labels = None
depends_on = None

ENDPOINTS = (("shadows", sa.Text), ("warm", sa.Text), ("cascade", sa.Text))
ROLLOUTS = (
    ("promotes", sa.Boolean),
    ("approvals", sa.Text),
    ("approved", sa.Text),
    ("keep_warm_s", sa.Float),
    ("is_rollback", sa.Boolean),
    ("baked_s", sa.Float),
    ("looked_at", sa.BigInteger),
)


def upgrade() -> None:
    for table, columns in (("endpoints", ENDPOINTS), ("rollouts", ROLLOUTS)):
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
