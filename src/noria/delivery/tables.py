"""Tables of webhooks and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.delivery.entities import WebhookEvent

webhooks = sa.Table(
    "webhooks",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", JsonText(list[WebhookEvent]), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    # Encrypted by a key made of the workspace key, see `secrets.py`.
    sa.Column("sealed_secret", sa.Text),
    sa.Column("owner", sa.Text, nullable=False),
    # Null where the owner could read all projects.
    sa.Column("projects", JsonText(list[str])),
    # Made by somebody who reached an open server and did not show that the workspace is theirs.
    sa.Column("by_visitor", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("updated_at", UtcMicros, nullable=False),
    sa.Index("webhooks_by_owner", "owner", "id"),
    sa.Index("webhooks_by_status", "status"),
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("webhook_pk", sa.BigInteger, sa.ForeignKey("webhooks.pk", ondelete="cascade"), nullable=False),
    # Of the event in the log: an event goes to a webhook once.
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("n_attempts", sa.BigInteger, nullable=False),
    sa.Column("response_status", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("due_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.UniqueConstraint("webhook_pk", "position", name="webhook_deliveries_by_event"),
    sa.Index("webhook_deliveries_by_age", "created_at"),
)
