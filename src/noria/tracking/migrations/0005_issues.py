"""Issues."""

import sqlalchemy as sa
from alembic import op

revision = "tracking_0005"
down_revision = "tracking_0004"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "issues",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        sa.Column(
            "experiment_pk",
            sa.BigInteger,
            sa.ForeignKey("experiments.pk", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("source_run_pk", sa.BigInteger, sa.ForeignKey("runs.pk", ondelete="SET NULL")),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("root_causes", sa.Text, nullable=False),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.CheckConstraint("status in ('pending', 'rejected', 'resolved')", name="issues_status"),
        sa.CheckConstraint("severity between 0 and 4", name="issues_severity"),
    )
    in_order = (sa.text("severity desc"), sa.text("created_ms desc"), sa.text("id desc"))
    op.create_index("issues_in_order", "issues", ["experiment_pk", *in_order])
    op.create_index("issues_by_run", "issues", ["source_run_pk"])
