"""Types of event of batch prediction."""

from __future__ import annotations

from noria.core.events.log import EventType

BATCH_RUN_STARTED = EventType(
    "batch_run.started", "A batch run began, or went on; the payload has its version, input and output"
)
BATCH_RUN_SUCCEEDED = EventType(
    "batch_run.succeeded", "A batch run wrote all its rows; the payload has how many, and where they are"
)
BATCH_RUN_FAILED = EventType(
    "batch_run.failed", "An attempt at a batch run failed; the payload has the reason"
)
BATCH_CREATED = EventType("batch.created", "A batch got a stable name; the payload has the live slot")
BATCH_SWITCHED = EventType(
    "batch.switched",
    "The stable name of a batch stands for the other slot; the payload has slots, versions and the reason",
)
BATCH_COMPARED = EventType(
    "batch.compared",
    "Both slots of a batch were held against the truth; the payload has the gain with its interval",
)
BATCH_RULE_SET = EventType("batch.rule_set", "A batch switches by another rule; the payload has it")
