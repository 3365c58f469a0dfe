"""What finds runs by a piece of a text."""

import sqlalchemy as sa
from alembic import op

revision = "tracking_0006"
down_revision = "tracking_0005"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "text_fields",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("key_pk", sa.BigInteger, nullable=False),
        sa.Column("goal", sa.BigInteger, nullable=False),
        sa.Column("built", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("kind", "key_pk", name="text_fields_by_key"),
    )
    op.create_table(
        "text_segments",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("field_pk", sa.BigInteger, sa.ForeignKey("text_fields.pk"), nullable=False),
        sa.Column("n_runs", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "text_grams",
        sa.Column("field_pk", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("gram", BYTEWISE, primary_key=True),
        sa.Column("segment_pk", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n_runs", sa.BigInteger, nullable=False),
        sa.Column("runs", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "text_tail",
        sa.Column("run_pk", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
