"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

EXPERIMENT_CREATED = EventType("experiment.created", "An experiment was made; the payload has its number")
RUN_CREATED = EventType("run.created", "A run began; the payload has experiment, name and parent")
RUN_UPDATED = EventType(
    "run.updated",
    "A run got params, tags, inputs, outputs or artifacts; the payload lists keys, references and paths, not values",
)
RUN_FINISHED = EventType("run.finished", "A run ended; the payload has its status and duration")
RUN_RESUMED = EventType("run.resumed", "A run that had ended goes on; the payload has the status it had")
