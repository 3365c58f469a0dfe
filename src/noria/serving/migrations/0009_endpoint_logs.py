"""What the model servers of endpoints logged, counted by five minutes."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0009"
down_revision = "serving_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "endpoint_logs",
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True),
        sa.Column("n_warnings", sa.BigInteger, nullable=False),
        sa.Column("n_errors", sa.BigInteger, nullable=False),
        sa.Column("line", sa.Text),
    )
