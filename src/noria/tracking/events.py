"""Types of event that this capability appends, and the appending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noria.core.events.log import EventType, append

if TYPE_CHECKING:
    import sqlalchemy as sa

    from noria.core.context import Context

EXPERIMENT_CREATED = EventType("experiment.created", "An experiment was made; the payload has its number")
EXPERIMENT_UPDATED = EventType(
    "experiment.updated", "An experiment got another name or tags; the payload has the name or lists the keys"
)
EXPERIMENT_DELETED = EventType(
    "experiment.deleted", "An experiment and its runs were deleted; they can be restored"
)
EXPERIMENT_RESTORED = EventType(
    "experiment.restored", "A deleted experiment is active again, with the runs that went with it"
)
EXPERIMENT_PURGED = EventType("experiment.purged", "An experiment that was deleted long ago is gone for good")
RUN_CREATED = EventType("run.created", "A run began; the payload has experiment, name and parent")
RUN_UPDATED = EventType(
    "run.updated",
    "A run got params, tags, inputs, outputs, data sets, artifacts or another name; the payload lists keys, references"
    " and paths, not values",
)
RUN_FINISHED = EventType("run.finished", "A run ended; the payload has its status and duration")
RUN_RESUMED = EventType("run.resumed", "A run that had ended goes on; the payload has the status it had")
RUN_DELETED = EventType("run.deleted", "A run was deleted; it can be restored")
RUN_RESTORED = EventType("run.restored", "A deleted run is active again")
RUN_PURGED = EventType(
    "run.purged", "A run that was deleted long ago is gone for good, with all that it held"
)


def append_event(
    connection: sa.Connection,
    context: Context,
    kind: EventType,
    *,
    subject: str,
    project: str,
    payload: dict[str, Any],
) -> None:
    """Append an event of the context's caller."""
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=kind,
        subject=subject,
        project=project,
        payload=payload,
    )
