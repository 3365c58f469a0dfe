"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

PIPELINE_STARTED = EventType("pipeline.started", "A run of a pipeline began; the payload names the pipeline")
PIPELINE_FINISHED = EventType(
    "pipeline.finished", "A run of a pipeline ended; the payload has its status and counts of steps"
)
STEP_FINISHED = EventType(
    "step.finished", "A step of a run ended; the payload has its name, position, status and key"
)
JOB_SUBMITTED = EventType("job.submitted", "A job was submitted; the payload has its entry")
JOB_STARTED = EventType("job.started", "A worker claimed a job; the payload has the attempt")
JOB_REQUEUED = EventType(
    "job.requeued", "A job will be tried again; the payload has the attempt that ended and why"
)
JOB_FINISHED = EventType("job.finished", "A job ended; the payload has its status")
