"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

DATASET_VERSION_ADDED = EventType(
    "dataset.version_added", "A dataset got a new version; the payload has digest, version and number of rows"
)
