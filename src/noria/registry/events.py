"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

MODEL_VERSION_REGISTERED = EventType(
    "model.version_registered", "A model got a new version; the payload has version, digest, run and metrics"
)
MODEL_ALIAS_MOVED = EventType(
    "model.alias_moved",
    "An alias points to another version; the payload has alias, version and the one before",
)
MODEL_ALIAS_DELETED = EventType("model.alias_deleted", "An alias is gone; the payload has alias and version")
