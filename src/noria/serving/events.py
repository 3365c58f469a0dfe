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
ENDPOINT_KEY_CREATED = EventType(
    "endpoint.key_created", "A key of an endpoint was made; the payload has its name and id"
)
ENDPOINT_KEY_REVOKED = EventType(
    "endpoint.key_revoked", "A key of an endpoint was ended; the payload has its name and id"
)
ENDPOINT_CAPTURE_CHANGED = EventType(
    "endpoint.capture_changed", "Another share of an endpoint's requests is captured; the payload has it"
)
CAPTURES_DROPPED = EventType(
    "serving.captures_dropped",
    "A model server has no room to keep what it answers; the payload has how many requests it dropped",
)
CAPTURES_KEPT = EventType(
    "serving.captures_kept",
    "A model server keeps what it answers again; the payload has how many were dropped",
)
WORKERS_REPLACED = EventType(
    "serving.workers_replaced",
    "Workers of a model server died, hung or grew too large; the payload has how many since it started",
)
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
ROLLOUT_COMPARED = EventType(
    "rollout.compared",
    "A shadow rollout ended with its comparison: the old version answers every request as before",
)
ROLLOUT_APPROVED = EventType(
    "rollout.approved", "A person agreed to a rollout; the payload has how many are lacking still"
)
ROLLOUT_FAILED = EventType(
    "rollout.failed", "A rollout lost its endpoint or a version; the payload has the reason"
)
