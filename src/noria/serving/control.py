"""What the control loop runs for rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, workflow
from noria.core.errors import NotFound, Unavailable
from noria.core.permissions import Principal, Role
from noria.registry.service import Models
from noria.serving.deployment import settle_alias
from noria.serving.entities import RolloutStatus
from noria.serving.events import ROLLOUT_STARTED
from noria.serving.passage import advance
from noria.serving.sight import load_rollout

ROLLOUT = "serving.rollout"

_RETRY_S = 2.0

CONTROL = Principal(name="control", role=Role.ADMIN, holds_key=True)


@workflow(ROLLOUT)
def rollout(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Bring a rollout from its start to its end.

    All of its state is in our tables and each move there is a compare-and-set, so this function only looks, moves and
    sleeps: it may be killed and run again at any point.
    """
    context = app.acting_as(CONTROL)
    rollout_id: str = event["payload"]["rollout_id"]
    while True:
        seen: Any = steps.run("advance", lambda: _advance(context, rollout_id))
        if seen["finished"]:
            break
        if seen["look_again_s"] > 0:
            steps.sleep(seen["look_again_s"])
    if seen["status"] == RolloutStatus.PROMOTED.value:
        steps.run("alias", lambda: _move_alias(context, rollout_id))
    return {"rollout_id": rollout_id, "status": seen["status"]}


def _advance(context: Context, rollout_id: str) -> dict[str, Any]:
    try:
        found, look_again_s = advance(context, rollout_id)
    except Unavailable:
        # A database that is away is no answer to record: the rollout is as it was, and is looked at again.
        return {"status": RolloutStatus.RUNNING.value, "finished": False, "look_again_s": _RETRY_S}
    return {
        "status": found.status.value,
        "finished": found.status.is_finished(),
        "look_again_s": look_again_s,
    }


def _move_alias(context: Context, rollout_id: str) -> str | None:
    with context.database.read() as connection:
        found = load_rollout(connection, rollout_id).rollout
    try:
        return settle_alias(context.service(Models), found).alias
    except NotFound:
        # The version was deleted since it was promoted: there is nothing left that the alias could name.
        return None


WORKFLOWS = (rollout,)
TICKS: tuple[Tick, ...] = ()
CHORES: tuple[Chore, ...] = ()
REACTIONS = (Reaction("serving.rollouts", frozenset({str(ROLLOUT_STARTED)}), ROLLOUT),)
