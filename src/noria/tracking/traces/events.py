"""Types of event that this capability appends. Traces come in too great numbers to be events each."""

from __future__ import annotations

from noria.core.events.log import EventType

TRACES_DELETED = EventType(
    "trace.deleted",
    "Traces of an experiment were deleted; the payload has their number and what was asked for",
)
