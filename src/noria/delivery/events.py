"""Types of event that this capability appends.

Addresses of webhooks are not told: they often hold a credential.
"""

from __future__ import annotations

from noria.core.events.log import EventType

WEBHOOK_CREATED = EventType("webhook.created", "A webhook was made; the payload has its name and its events")
WEBHOOK_UPDATED = EventType("webhook.updated", "A webhook was changed; the payload has what of it")
WEBHOOK_DELETED = EventType("webhook.deleted", "A webhook is gone; the payload has its name")
