"""What starts schedules besides the clock: new versions of data, events, alerts, other schedules, and signed calls.

Rooms higher up append some of these events; their types are named here as they stand in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.control.workflows import LoggedEvent
from noria.core.errors import near
from noria.data.events import (
    DATASET_CHECKED,
    DATASET_TAG_DELETED,
    DATASET_TAG_SET,
    DATASET_VERSION_ADDED,
    DATASET_VERSION_REMOVED,
)
from noria.pipelines.schedules.course import add_regular
from noria.pipelines.schedules.entities import Cause, ScheduleStatus, Trigger
from noria.pipelines.schedules.events import SCHEDULE_FAILED, SCHEDULE_SUCCEEDED
from noria.pipelines.schedules.rows import Held, NewRun, hold
from noria.pipelines.schedules.tables import schedules
from noria.pipelines.schedules.timing import ScheduleInvalid

ALERT_OPENED = "alert.opened"

EVENT_TYPES = frozenset(
    {
        *(DATASET_VERSION_ADDED, DATASET_VERSION_REMOVED),
        *(DATASET_TAG_SET, DATASET_TAG_DELETED, DATASET_CHECKED),
        *("model.created", "model.tag_set", "model.tag_deleted", "model.alias_moved", "model.alias_deleted"),
        *("model.version_registered", "model.version_deleted", "model.version_stage_moved"),
        *("model.version_tag_set", "model.version_tag_deleted"),
        *(
            "endpoint.created",
            "endpoint.changed",
            "rollout.promoted",
            "rollout.rolled_back",
            "rollout.compared",
        ),
        *(ALERT_OPENED, "alert.closed"),
        *(SCHEDULE_SUCCEEDED, SCHEDULE_FAILED),
    }
)
"""Types of event that a schedule may run after."""


def check_trigger(name: str, trigger: Trigger) -> None:
    """Refuse a trigger that says nothing, or two things, or names an event that there is none of.

    Raises
    ------
    ScheduleInvalid
        The message names the schedule.
    """
    given = [key for key in ("dataset", "event", "alert", "schedule", "webhook") if getattr(trigger, key)]
    if len(given) != 1:
        found = " and ".join(f"`{key}`" for key in given) or "none of them"
        raise ScheduleInvalid(
            f"`on` of the schedule `{name}` names {found}",
            hint="Name one of `dataset`, `event`, `alert`, `schedule`, `webhook`",
        )
    if trigger.subject is not None and trigger.event is None:
        raise ScheduleInvalid(f"`on` of the schedule `{name}` has `subject` without `event`")
    if trigger.event is not None and trigger.event not in EVENT_TYPES:
        close = near(trigger.event, EVENT_TYPES)
        known = ", ".join(sorted(EVENT_TYPES))
        raise ScheduleInvalid(
            f"The schedule `{name}` waits for `{trigger.event}`, which starts no schedule",
            hint=f"Did you mean `{close}`?" if close else f"There are: {known}",
        )
    if trigger.schedule == name:
        raise ScheduleInvalid(f"The schedule `{name}` waits for itself")


def is_waited_for(context: Context, event: LoggedEvent) -> bool:
    """Tell whether an event starts a schedule."""
    return bool(_waiting_for(context, _as_mapping(event)))


def start_after(context: Context, event: Mapping[str, Any]) -> int:
    """Put a run on record for each schedule that waits for an event, once however often it is asked; give how many."""
    found = _waiting_for(context, event)
    for held in found:
        subject = str(event["subject"])
        _, _, version = subject.partition("@")
        payload = event["payload"]
        details = {
            "event": event["type"],
            "subject": subject,
            "version": payload.get("version") or version or None,
        }
        kept = {key: value for key, value in details.items() if value is not None}
        _add(context, held, NewRun(f"event:{event['position']}", Cause.EVENT, details=kept))
    return len(found)


def start_by_call(context: Context, held: Held, call_id: str) -> None:
    """Put a run on record for a signed call, once for each identifier."""
    digest = hashlib.sha256(call_id.encode()).hexdigest()[:32]
    _add(context, held, NewRun(f"webhook:{digest}", Cause.WEBHOOK, details={"call": call_id}))


def matches(trigger: Trigger, kind: str, subject: str) -> bool:
    """Tell whether an event is what a trigger waits for.

    Examples
    --------
    >>> trigger = Trigger(event="model.alias_moved", subject="model:digits")
    >>> matches(trigger, "model.alias_moved", "model:digits@3")
    True
    >>> matches(trigger, "model.alias_moved", "model:digits2@3")
    False
    """
    name = subject.partition("@")[0]
    if trigger.dataset is not None:
        return kind == DATASET_VERSION_ADDED and name == f"dataset:{trigger.dataset}"
    if trigger.alert is not None:
        return kind == ALERT_OPENED and name == f"endpoint:{trigger.alert}"
    if trigger.schedule is not None:
        return kind == SCHEDULE_SUCCEEDED and subject == f"schedule:{trigger.schedule}"
    return kind == trigger.event and trigger.subject in (None, subject, name)


def _waiting_for(context: Context, event: Mapping[str, Any]) -> list[Held]:
    conditions = (
        schedules.c.status == str(ScheduleStatus.ACTIVE),
        schedules.c.since_position < event["position"],
        projects.c.name == event["project"],
    )
    with context.database.read() as connection:
        if connection.execute(sa.select(schedules.c.pk).limit(1)).first() is None:
            return []
        found = hold(connection, *conditions)
    kind, subject = str(event["type"]), str(event["subject"])
    return [
        held
        for held in found
        if held.schedule.spec.on is not None and matches(held.schedule.spec.on, kind, subject)
    ]


def _add(context: Context, held: Held, new: NewRun) -> None:
    with context.database.write() as connection:
        still = hold(connection, schedules.c.pk == held.pk)
        if still[0].schedule.status is ScheduleStatus.ACTIVE:
            add_regular(connection, context, still[0], [new])


def _as_mapping(event: LoggedEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "type": event.type,
        "subject": event.subject,
        "project": event.project,
        "payload": event.payload,
    }
