"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

DATASET_VERSION_ADDED = EventType(
    "dataset.version_added", "A dataset got a new version; the payload has digest, version and number of rows"
)
DATASET_VERSION_REMOVED = EventType(
    "dataset.version_removed", "A version of a dataset is gone; the payload has digest and version"
)
DATASET_TAG_SET = EventType(
    "dataset.tag_set",
    "A tag of a dataset leads to another version; the payload has tag, version and the one before (0: none)",
)
DATASET_TAG_DELETED = EventType(
    "dataset.tag_deleted", "A tag of a dataset is gone; the payload has tag and version"
)
DATASET_CHECKED = EventType(
    "dataset.checked",
    "A version of a dataset was checked; the payload tells whether it passed, and broken rules",
)
