"""Types of event that this capability appends.

The subject is `decision:<id>`, that of announcements `endpoint:<name>`. Every payload about a decision has `decision`,
`record` (the catalogue record), `endpoint`, `status`, and `sentence`, which tells a person what happened.
"""

from __future__ import annotations

from noria.core.events.log import EventType

DECISION_STARTED = EventType(
    "decision.started",
    "A decision was opened; the payload has model, version, trigger (quality, drift, errors, manual) and alert",
)
DECISION_REQUESTED = EventType("decision.requested", "A person asked for a decision about an endpoint")
DECISION_DIAGNOSED = EventType(
    "decision.diagnosed",
    "A diagnosis ended; the payload has round, cause, probability, causes (probability by name), subject, and stages: "
    "verdict by name in the order in which they were looked at",
)
DECISION_WAITING = EventType(
    "decision.waiting", "A decision waits for labels; the payload has n_labels and the reason"
)
DECISION_TRYING = EventType("decision.trying", "Remedies are being tried; the payload lists them as remedies")
DECISION_TRIED = EventType(
    "decision.tried",
    "Remedies were tried; the payload has candidates: name, admissible, note, version, and score, gain (net, in score "
    "times rows) with low, high and n where they were measured",
)
DECISION_CHOSEN = EventType(
    "decision.chosen", "A remedy was chosen; the payload has remedy, policy, version and the reason"
)
DECISION_ASKED = EventType(
    "decision.asked", "A person is asked; the payload has remedy, version and the reason"
)
DECISION_APPROVED = EventType("decision.approved", "A person approved the proposed remedy")
DECISION_REJECTED = EventType("decision.rejected", "A person rejected the proposed remedy")
DECISION_ACTED = EventType(
    "decision.acted", "The remedy is being carried out; the payload has remedy, version and rollout_id"
)
DECISION_PROMOTED = EventType(
    "decision.promoted", "The remedy is live; its outcome will be measured; the payload has version"
)
DECISION_SUPERSEDED = EventType(
    "decision.superseded", "A decision gave way to a more urgent one about the same endpoint"
)
DECISION_FINISHED = EventType(
    "decision.finished",
    "A decision ended; the payload has status, cause, remedy, version, reason and outcome",
)
CHANGE_ANNOUNCED = EventType(
    "change.announced",
    "Somebody said that inputs of an endpoint change by design; the payload has announcement, text, columns and at",
)
CHANGE_WITHDRAWN = EventType(
    "change.withdrawn", "An announcement was taken back; the payload has announcement, its id"
)
