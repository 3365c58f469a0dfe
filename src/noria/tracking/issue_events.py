"""Types of event that issues append."""

from __future__ import annotations

from noria.core.events.log import EventType

ISSUE_CREATED = EventType(
    "issue.created",
    "An issue was written down; the payload has the number of its experiment, name and status",
)
ISSUE_UPDATED = EventType(
    "issue.updated", "An issue was changed; the payload lists the fields, and has the status if that is one"
)
