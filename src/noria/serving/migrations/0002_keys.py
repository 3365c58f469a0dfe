"""Keys and capture shares of endpoints, and how model servers are."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0002"
down_revision = "serving_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "endpoint_options",
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
        sa.Column("guarded", sa.Boolean, nullable=False),
        sa.Column("capture_share", sa.Float, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "endpoint_keys",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("rate_per_s", sa.Float),
        sa.Column("burst", sa.BigInteger),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("endpoint_keys_by_endpoint", "endpoint_keys", ["endpoint_pk", "pk"])
    op.add_column("model_servers", sa.Column("standing", sa.Text))
