"""Reports of validations, and approvals."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0004"
down_revision = "registry_0003"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "model_validations",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("version_pk", sa.BigInteger, sa.ForeignKey("model_versions.pk"), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("counts", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("model_validations_by_version", "model_validations", ["version_pk"])
    op.create_table(
        "model_approvals",
        sa.Column(
            "version_pk",
            sa.BigInteger,
            sa.ForeignKey("model_versions.pk"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("given_by", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("report_id", sa.Text),
        sa.Column("given_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
