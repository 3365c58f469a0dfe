"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

RECORD_CREATED = EventType("record.created", "A decision record was opened; the payload has its kind")
RECORD_CLOSED = EventType("record.closed", "A decision record got its outcome and is final")
