"""Types of event that scorers, label schemas and review queues append."""

from __future__ import annotations

from noria.core.events.log import EventType

SCORER_REGISTERED = EventType(
    "scorer.registered", "A version of a scorer was kept; the payload has its experiment, name and number"
)
SCORER_DELETED = EventType(
    "scorer.deleted", "A scorer was deleted, or the one version whose number the payload has"
)
LABEL_SCHEMA_CREATED = EventType(
    "label_schema.created", "A question for reviewers was written; the payload has its experiment and name"
)
LABEL_SCHEMA_UPDATED = EventType(
    "label_schema.updated", "A question for reviewers was changed; the payload lists the fields"
)
LABEL_SCHEMA_DELETED = EventType("label_schema.deleted", "A question for reviewers was deleted")
REVIEW_QUEUE_CREATED = EventType(
    "review_queue.created", "A review queue was set up; the payload has its experiment and name"
)
REVIEW_QUEUE_UPDATED = EventType(
    "review_queue.updated", "A review queue was changed; the payload lists the fields"
)
REVIEW_QUEUE_DELETED = EventType("review_queue.deleted", "A review queue was deleted; the traces stay")
