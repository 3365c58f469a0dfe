"""What checks and comparisons found out about versions of datasets."""

import sqlalchemy as sa
from alembic import op

revision = "data_0002"
down_revision = "data_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dataset_reports",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column(
            "version_pk",
            sa.BigInteger,
            sa.ForeignKey("dataset_versions.pk", ondelete="cascade"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("against", sa.Text),
        sa.Column("passed", sa.Boolean),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.CheckConstraint("kind in ('check', 'diff')", name="dataset_reports_kind"),
        sa.Index("dataset_reports_by_version", "version_pk", "kind", "pk"),
    )
