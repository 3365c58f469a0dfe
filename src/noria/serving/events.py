"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

ENDPOINT_CREATED = EventType(
    "endpoint.created", "An endpoint was made; the payload has its model and version"
)
ENDPOINT_CHANGED = EventType(
    "endpoint.changed", "An endpoint shares its requests differently; the payload has shares and revision"
)
ENDPOINT_DELETED = EventType("endpoint.deleted", "An endpoint was deleted; what it captured is kept")
ROLLOUT_STARTED = EventType(
    "rollout.started", "A rollout began; the payload has its endpoint, strategy and versions"
)
ROLLOUT_ADVANCED = EventType("rollout.advanced", "A rollout went to its next step; the payload has the step")
ROLLOUT_PAUSED = EventType("rollout.paused", "A rollout was told to wait")
ROLLOUT_RESUMED = EventType("rollout.resumed", "A paused rollout went on")
ROLLOUT_PROMOTED = EventType("rollout.promoted", "A rollout ended: the new version answers every request")
ROLLOUT_ROLLED_BACK = EventType(
    "rollout.rolled_back",
    "A rollout ended: the old version answers every request; the payload has the reason",
)
ROLLOUT_FAILED = EventType(
    "rollout.failed", "A rollout lost its endpoint or a version; the payload has the reason"
)
