"""Types of event that logged models append."""

from __future__ import annotations

from noria.core.events.log import EventType

LOGGED_MODEL_CREATED = EventType(
    "logged_model.created",
    "A logged model was begun; the payload has experiment, name and the run that made it",
)
LOGGED_MODEL_FINISHED = EventType(
    "logged_model.finished", "The making of a logged model came to an end; the payload has its status"
)
LOGGED_MODEL_UPDATED = EventType(
    "logged_model.updated", "A logged model got params or tags; the payload lists keys, not values"
)
LOGGED_MODEL_DELETED = EventType("logged_model.deleted", "A logged model was deleted; it can be restored")
LOGGED_MODEL_RESTORED = EventType("logged_model.restored", "A deleted logged model is active again")
LOGGED_MODEL_PURGED = EventType(
    "logged_model.purged", "A logged model that was deleted long ago is gone for good, with its files"
)
