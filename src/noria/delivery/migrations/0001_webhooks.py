"""Webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "delivery_0001"
down_revision = None
branch_labels = ("delivery",)
depends_on = ("access_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("sealed_secret", sa.Text),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("projects", sa.Text),
        sa.Column("by_visitor", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhooks_by_owner", "webhooks", ["owner", "id"])
    op.create_index("webhooks_by_status", "webhooks", ["status"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column(
            "webhook_pk", sa.BigInteger, sa.ForeignKey("webhooks.pk", ondelete="cascade"), nullable=False
        ),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("n_attempts", sa.BigInteger, nullable=False),
        sa.Column("response_status", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.UniqueConstraint("webhook_pk", "position", name="webhook_deliveries_by_event"),
    )
    op.create_index("webhook_deliveries_by_age", "webhook_deliveries", ["created_at"])
