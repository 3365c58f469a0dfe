"""Sessions of people who sign in with a browser."""

import sqlalchemy as sa
from alembic import op

revision = "access_0002"
down_revision = "access_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
        sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade")),
        sa.Column("browser", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_by_user", "sessions", ["user_pk"])
    op.create_index("sessions_by_expiry", "sessions", ["expires_at"])
