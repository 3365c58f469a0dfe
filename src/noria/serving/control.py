"""What the control loop runs for rollouts, and for endpoints whose model got another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, LoggedEvent, Reaction, Steps, Tick, workflow
from noria.core.errors import NotFound, Unavailable
from noria.core.permissions import Principal, Role
from noria.registry.events import MODEL_RENAMED
from noria.registry.service import Models
from noria.serving.entities import RolloutStatus
from noria.serving.events import ROLLOUT_STARTED
from noria.serving.held_versions import keep_served_versions
from noria.serving.rollouts.deployment import rename_model, serves, settle_alias
from noria.serving.rollouts.passage import advance
from noria.serving.rollouts.sight import load_rollout
from noria.serving.rollouts.warm import let_go_of_warm

ROLLOUT = "serving.rollout"
FOLLOW_NAME = "serving.follow_name"

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


@workflow(FOLLOW_NAME)
def follow_name(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Let endpoints know their model by its new name, since another model may take the one before."""
    context = app.acting_as(CONTROL)
    project: str = event["project"]
    before: str = event["payload"]["before"]
    name = str(event["subject"]).partition(":")[2]
    return steps.run("endpoints", lambda: rename_model(context, project, before, name))


def _keep_served(app: Context) -> None:
    keep_served_versions(app.acting_as(CONTROL))


def _let_go_of_warm(app: Context) -> None:
    let_go_of_warm(app.acting_as(CONTROL))


def _is_served(app: Context, event: LoggedEvent) -> bool:
    with app.database.read() as connection:
        return serves(connection, str(event.project), str(event.payload["before"]))


WORKFLOWS = (rollout, follow_name)
TICKS: tuple[Tick, ...] = ()
CHORES = (
    Chore("serving.held_versions", 3600.0, _keep_served),
    Chore("serving.warm_versions", 15.0, _let_go_of_warm),
)
REACTIONS = (
    Reaction("serving.rollouts", frozenset({str(ROLLOUT_STARTED)}), ROLLOUT),
    Reaction("serving.names", frozenset({str(MODEL_RENAMED)}), FOLLOW_NAME, when=_is_served),
)
