"""Tags of versions, and numbers of versions that are never given twice although versions can be removed."""

import sqlalchemy as sa
from alembic import op

revision = "data_0003"
down_revision = "data_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset_tags",
        sa.Column("dataset_pk", sa.BigInteger, sa.ForeignKey("datasets.pk"), nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("dataset_pk", "tag"),
    )
    op.add_column(
        "datasets", sa.Column("last_number", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
    op.execute("update datasets set last_number = latest")
