"""Tables of webhooks and their deliveries."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
)
from noria.delivery.entities import WebhookEvent

webhooks = Table(
    "webhooks",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JsonText(list[WebhookEvent]), nullable=False),
    Column("status", Text, nullable=False),
    Column("description", Text),
    # Encrypted by a key made of the workspace key, see `secrets.py`.
    Column("sealed_secret", Text),
    Column("owner", Text, nullable=False),
    # Null where the owner could read all projects.
    Column("projects", JsonText(list[str])),
    # Made by somebody who reached an open server and did not show that the workspace is theirs.
    Column("by_visitor", Boolean, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("updated_at", UtcMicros, nullable=False),
    Index("webhooks_by_owner", "owner", "id"),
    Index("webhooks_by_status", "status"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("webhook_pk", BigInteger, ForeignKey("webhooks.pk", ondelete="cascade"), nullable=False),
    # Of the event in the log: an event goes to a webhook once.
    Column("position", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("n_attempts", BigInteger, nullable=False),
    Column("response_status", BigInteger),
    Column("error", Text),
    Column("created_at", UtcMicros, nullable=False),
    Column("due_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    UniqueConstraint("webhook_pk", "position", name="webhook_deliveries_by_event"),
    Index("webhook_deliveries_by_age", "created_at"),
)
