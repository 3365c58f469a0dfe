"""Types of event that schedules append. The subject is `schedule:<name>`."""

from __future__ import annotations

from noria.core.events.log import EventType

SCHEDULE_APPLIED = EventType(
    "schedule.applied", "A schedule was bound to code; the payload has the digest and what changed"
)
SCHEDULE_PAUSED = EventType("schedule.paused", "A schedule starts nothing until it is resumed")
SCHEDULE_RESUMED = EventType("schedule.resumed", "A schedule starts runs again")
SCHEDULE_PINNED = EventType(
    "schedule.pinned",
    "A schedule runs one revision, whatever is applied later; the payload has it, the one before, and why",
)
SCHEDULE_UNPINNED = EventType(
    "schedule.unpinned", "A schedule runs what was applied last again; the payload has the revision"
)
SCHEDULE_REMOVED = EventType("schedule.removed", "A schedule is gone; its runs stay on record")
SCHEDULE_REQUESTED = EventType(
    "schedule.requested", "A person asked for a run or a backfill; the payload has which"
)
SCHEDULE_SUCCEEDED = EventType(
    "schedule.succeeded", "A run of a schedule succeeded; the payload has run, key and job"
)
SCHEDULE_FAILED = EventType(
    "schedule.failed", "A run of a schedule failed; the payload has run, key, job and why"
)
