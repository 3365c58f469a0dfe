"""What the control loop runs for schedules.

The clock is looked at by a chore, since most looks find nothing and each look is two short queries; what it decides
stands in rows. What waits for the outside, and what follows from events, are workflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, LoggedEvent, Reaction, Steps, Tick, workflow
from noria.pipelines.run_records import SYSTEM
from noria.pipelines.schedules.course import forget, look
from noria.pipelines.schedules.events import SCHEDULE_FAILED, SCHEDULE_SUCCEEDED
from noria.pipelines.schedules.notices import has_notices, send_due
from noria.pipelines.schedules.triggers import EVENT_TYPES, is_waited_for, start_after

START_AFTER = "schedules.start_after"
NOTIFY = "schedules.notify"
LOOK_EVERY_S = 0.5
FORGET_EVERY_S = 300.0


@workflow(START_AFTER)
def start_after_event(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Have the schedules run that wait for an event."""
    context = app.acting_as(SYSTEM)
    return {"n_schedules": steps.run("start", lambda: start_after(context, event))}


@workflow(NOTIFY)
def notify(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Tell people how a run ended, and try again where that may help."""
    context, run_id = app.acting_as(SYSTEM), str(event["payload"]["run"])
    wait_s: float | None = steps.run("send", lambda: send_due(context, run_id))
    while wait_s is not None:
        steps.sleep(wait_s)
        wait_s = steps.run("send", lambda: send_due(context, run_id))
    return {"run": run_id}


def is_told(app: Context, event: LoggedEvent) -> bool:
    """Tell whether somebody is to be told of the end of a run."""
    return has_notices(app, str(event.payload["run"]))


def look_at_schedules(app: Context) -> None:
    """Bring every schedule forward."""
    look(app.acting_as(SYSTEM))


def forget_old(app: Context) -> None:
    """Delete runs that ended long ago."""
    forget(app.acting_as(SYSTEM))


WORKFLOWS = (start_after_event, notify)
TICKS: tuple[Tick, ...] = ()
REACTIONS = (
    Reaction("schedules.triggers", frozenset(map(str, EVENT_TYPES)), START_AFTER, when=is_waited_for),
    Reaction(
        "schedules.notices", frozenset({str(SCHEDULE_FAILED), str(SCHEDULE_SUCCEEDED)}), NOTIFY, when=is_told
    ),
)
CHORES = (
    Chore("schedules.look", LOOK_EVERY_S, look_at_schedules),
    Chore("schedules.forget", FORGET_EVERY_S, forget_old),
)
