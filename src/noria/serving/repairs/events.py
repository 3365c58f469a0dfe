"""Types of event about repairs of inputs. The subject is `endpoint:<name>`."""

from __future__ import annotations

from noria.core.events.log import EventType

REPAIR_STARTED = EventType(
    "endpoint.repair_started",
    "Inputs of an endpoint are put right before the model sees them; the payload has repair, number, columns, words, "
    "decision, reason and revision",
)
REPAIR_ENDED = EventType(
    "endpoint.repair_ended",
    "Inputs of an endpoint are put right no more; the payload has repair, number, columns, reason and revision, and "
    "the columns that go on as `still`",
)
