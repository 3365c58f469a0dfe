"""Sums that gates judge by: of blocks, classes, predictions and pairs."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0005"
down_revision = "serving_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("capture_counts", sa.Column("sums", sa.Text))
    op.create_table(
        "pair_counts",
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("against", sa.BigInteger, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("stats", sa.Text, nullable=False),
    )
