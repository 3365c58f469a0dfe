"""What the control loop runs for webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, LoggedEvent, Reaction, Steps, Tick, workflow
from noria.delivery.ledger import Bodies, deliver, plan
from noria.delivery.listeners import anybody_listens
from noria.delivery.payloads import TELLERS, change_of, events_for

NOTIFY = "delivery.notify"


@workflow(NOTIFY)
def notify(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Tell every webhook that listens to an event, and try again where that may help."""
    change, position = change_of(event), int(event["position"])
    bodies = cast("Bodies", steps.run("plan", lambda: plan(app, change, position)))
    wait_s: float | None = 0.0 if bodies else None
    while wait_s is not None:
        if wait_s > 0:
            steps.sleep(wait_s)
        wait_s = steps.run("deliver", lambda: deliver(app, bodies))
    return {"n_webhooks": len(bodies)}


def is_listened_to(app: Context, event: LoggedEvent) -> bool:
    """Tell whether a webhook may have to be told of an event."""
    with app.database.read() as connection:
        return anybody_listens(connection, events_for(str(event.type)))


WORKFLOWS = (notify,)
TICKS: tuple[Tick, ...] = ()
CHORES: tuple[Chore, ...] = ()
REACTIONS = (Reaction("delivery.webhooks", frozenset(TELLERS), NOTIFY, when=is_listened_to),)
