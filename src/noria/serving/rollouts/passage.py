"""The stored side of rollouts: find them, see how they stand, and move them.

A move changes rollout, endpoint and event log in one transaction, and only if the rollout is still as it was when the
move was decided. So a move that is made twice, or by two at once, happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Conflict
from noria.core.events.log import EventType, append
from noria.registry.uses import release_versions
from noria.serving.entities import (
    MOVES,
    Rollout,
    RolloutStatus,
    Share,
    WarmVersion,
)
from noria.serving.events import (
    ENDPOINT_CHANGED,
    ROLLOUT_ADVANCED,
    ROLLOUT_COMPARED,
    ROLLOUT_FAILED,
    ROLLOUT_PAUSED,
    ROLLOUT_PROMOTED,
    ROLLOUT_RESUMED,
    ROLLOUT_ROLLED_BACK,
)
from noria.serving.gate_rules import GateResult, Verdict
from noria.serving.gates import combine
from noria.serving.locate import endpoint_row
from noria.serving.rollouts.progress import Finding, Move, baked_s, judge
from noria.serving.rollouts.results import step_result
from noria.serving.rollouts.sight import StoredRollout, load_rollout, see
from noria.serving.rollouts.steps import answered, mirrored, shadows_at, shares_at
from noria.serving.sentences import PASSED
from noria.serving.tables import endpoints, rollouts


@dataclass(frozen=True, slots=True)
class Serving:
    """What an endpoint serves from now on.

    Attributes
    ----------
    warm
        None leaves the warm versions as they are.
    """

    shares: Sequence[Share]
    shadows: Sequence[Share] = ()
    warm: list[WarmVersion] | None = None


class RolloutMoved(Conflict):
    """Somebody else changed the rollout in the meantime."""

    code = "rollout_moved"

    def __init__(self, rollout_id: str) -> None:
        super().__init__(
            f"The rollout `{rollout_id}` changed in the meantime",
            hint=f"See `noria rollouts show {rollout_id}`",
        )


class RolloutFinished(Conflict):
    """The rollout has ended and cannot be changed any more."""

    code = "rollout_finished"

    def __init__(self, rollout: Rollout) -> None:
        super().__init__(
            f"The rollout `{rollout.id}` has ended: {rollout.status.value.replace('_', ' ')}",
            hint=f"To go back to the version before, use `noria endpoints rollback {rollout.endpoint}`",
            details={"rollout_id": rollout.id, "status": rollout.status.value},
        )


def advance(context: Context, rollout_id: str) -> tuple[Rollout, float]:
    """Look at a rollout and make its next move, if there is one.

    Safe to call at any time, twice, and by several at once.

    Returns
    -------
    rollout
        As it is afterwards.
    look_again_s
        After how long to call again; meaningless once it has finished.
    """
    with context.database.read() as connection:
        stored = load_rollout(connection, rollout_id)
        if stored.rollout.status.is_finished():
            return stored.rollout, 0.0
        finding = judge(see(connection, stored, context.clock.now()))
    if finding.move is Move.NOTHING and not stored.endpoint_deleted:
        _note_look(context, stored)
        return stored.rollout, finding.look_again_s
    try:
        with context.database.write(durable=True) as connection:
            return make_move(connection, context, stored, finding), 0.0
    except RolloutMoved:
        return stored.rollout, 0.0


def _note_look(context: Context, stored: StoredRollout) -> None:
    """Keep for how long the step was watched. It is no change of the rollout: who changes it need not know."""
    rollout, now = stored.rollout, context.clock.now()
    if rollout.step_started_at is None:
        return
    with context.database.write() as connection:
        connection.execute(
            sa.update(rollouts)
            .where(rollouts.c.pk == stored.pk, rollouts.c.revision == rollout.revision)
            .where(rollouts.c.looked_at.is_(None) | (rollouts.c.looked_at == rollout.looked_at))
            .values(baked_s=baked_s(rollout, now), looked_at=now)
        )


def make_move(
    connection: sa.Connection, context: Context, stored: StoredRollout, finding: Finding
) -> Rollout:
    """Write the move that was found for a rollout.

    Raises
    ------
    RolloutMoved
        If the rollout or its endpoint changed since the finding.
    """
    if stored.endpoint_deleted:
        return end(connection, context, stored, RolloutStatus.FAILED, "The endpoint was deleted", [])
    if finding.move is Move.START_CLOCK:
        now = context.clock.now()
        return change(connection, context, stored, {"step_started_at": now, "looked_at": now, "baked_s": 0.0})
    if finding.move is Move.NEXT_STEP:
        return _next_step(connection, context, stored, finding.results)
    verdict = combine(finding.results) if finding.results else Verdict.FAIL
    reason = finding.reason or PASSED
    return end(connection, context, stored, _ENDED_BY[finding.move], reason, finding.results, verdict)


_ENDED_BY = {
    Move.PROMOTE: RolloutStatus.PROMOTED,
    Move.ROLL_BACK: RolloutStatus.ROLLED_BACK,
    Move.COMPARE: RolloutStatus.COMPARED,
}


def _next_step(
    connection: sa.Connection, context: Context, stored: StoredRollout, results: list[GateResult]
) -> Rollout:
    step = stored.rollout.step + 1
    history = [*stored.rollout.history, step_result(connection, context, stored, results, Verdict.PASS)]
    return change(
        connection,
        context,
        stored,
        {"step": step, "step_started_at": None, "looked_at": None, "baked_s": 0.0, "history": history},
        serving=Serving(shares_at(stored.rollout, step), shadows_at(stored.rollout, step)),
        event=ROLLOUT_ADVANCED,
        payload={
            "step": step,
            "weight": answered(stored.rollout, step),
            "mirrored": mirrored(stored.rollout, step),
        },
    )


def end(
    connection: sa.Connection,
    context: Context,
    stored: StoredRollout,
    status: RolloutStatus,
    reason: str,
    results: list[GateResult],
    verdict: Verdict = Verdict.WAIT,
) -> Rollout:
    """Bring a rollout to an end: the new version gets all requests when it is promoted, the old one otherwise.

    Raises
    ------
    RolloutFinished
        If it has ended already.
    RolloutMoved
        If it changed since it was read.
    """
    rollout = stored.rollout
    if status not in MOVES[rollout.status]:
        raise RolloutFinished(rollout)
    is_promoted = status is RolloutStatus.PROMOTED
    winner = rollout.to_version if is_promoted else rollout.from_version
    serving = Serving(
        shares=[Share(version=winner if winner is not None else rollout.to_version, weight=1.0)],
        warm=warm_version(context, rollout.from_version, rollout.keep_warm_s) if is_promoted else None,
    )
    return change(
        connection,
        context,
        stored,
        {
            "status": status.value,
            "reason": reason,
            "ended_at": context.clock.now(),
            "history": [*rollout.history, step_result(connection, context, stored, results, verdict)],
        },
        serving=None if status is RolloutStatus.FAILED else serving,
        event=_ENDS[status],
        payload={"reason": reason, "from": rollout.from_version, "to": rollout.to_version},
    )


_ENDS = {
    RolloutStatus.PROMOTED: ROLLOUT_PROMOTED,
    RolloutStatus.ROLLED_BACK: ROLLOUT_ROLLED_BACK,
    RolloutStatus.COMPARED: ROLLOUT_COMPARED,
    RolloutStatus.FAILED: ROLLOUT_FAILED,
}


def pause(connection: sa.Connection, context: Context, stored: StoredRollout, reason: str | None) -> Rollout:
    """Keep a running rollout from going forward; a gate that fails still rolls it back."""
    return _switch(connection, context, stored, RolloutStatus.PAUSED, reason, ROLLOUT_PAUSED)


def resume(connection: sa.Connection, context: Context, stored: StoredRollout) -> Rollout:
    """Let a paused rollout go on."""
    return _switch(connection, context, stored, RolloutStatus.RUNNING, None, ROLLOUT_RESUMED)


def _switch(
    connection: sa.Connection,
    context: Context,
    stored: StoredRollout,
    status: RolloutStatus,
    reason: str | None,
    event: EventType,
) -> Rollout:
    if stored.rollout.status is status:
        return stored.rollout
    if status not in MOVES[stored.rollout.status]:
        raise RolloutFinished(stored.rollout)
    return change(
        connection,
        context,
        stored,
        {"status": status.value, "reason": reason},
        event=event,
        payload={"reason": reason},
    )


def change(
    connection: sa.Connection,
    context: Context,
    stored: StoredRollout,
    values: dict[str, Any],
    *,
    serving: Serving | None = None,
    event: EventType | None = None,
    payload: dict[str, Any] | None = None,
) -> Rollout:
    """Change a rollout, and what its endpoint serves, if it is still as it was read.

    Raises
    ------
    RolloutMoved
        If it is not.
    """
    rollout = stored.rollout
    # The endpoint first, as everywhere: two that lock the same rows in another order would wait for each other.
    connection.execute(
        sa.select(endpoints.c.pk).where(endpoints.c.pk == stored.endpoint_pk).with_for_update()
    )
    if serving is not None:
        _change_serving(connection, context, stored, serving)
        values = {**values, "step_endpoint_revision": stored.endpoint_revision + 1}
    done = connection.execute(
        sa.update(rollouts)
        .where(rollouts.c.pk == stored.pk, rollouts.c.revision == rollout.revision)
        .values(revision=rollout.revision + 1, **values)
    )
    if done.rowcount != 1:
        raise RolloutMoved(rollout.id)
    if event is not None:
        append(
            connection,
            context.clock,
            actor=context.principal.name,
            type=event,
            subject=f"rollout:{rollout.id}",
            project=rollout.project,
            payload={"endpoint": rollout.endpoint, **(payload or {})},
        )
    return load_rollout(connection, rollout.id).rollout


def _change_serving(
    connection: sa.Connection, context: Context, stored: StoredRollout, serving: Serving
) -> None:
    revision = stored.endpoint_revision + 1
    values: dict[str, Any] = {"shares": serving.shares, "shadows": serving.shadows or None}
    if serving.warm is not None:
        values["warm"] = serving.warm or None
    done = connection.execute(
        sa.update(endpoints)
        .where(
            endpoints.c.pk == stored.endpoint_pk,
            endpoints.c.revision == stored.endpoint_revision,
            endpoints.c.deleted_at.is_(None),
        )
        .values(revision=revision, **values)
    )
    if done.rowcount != 1:
        raise RolloutMoved(stored.rollout.id)
    settle(connection, context, stored.rollout.project, stored.rollout.endpoint)


def warm_version(context: Context, version: int | None, keep_warm_s: float) -> list[WarmVersion]:
    """Give what stays loaded after the switch from a version."""
    if version is None or not keep_warm_s:
        return []
    return [WarmVersion(version=version, until=context.clock.now() + timedelta(seconds=keep_warm_s))]


def settle(connection: sa.Connection, context: Context, project: str, endpoint: str) -> None:
    """Let go of the versions that an endpoint needs no longer, and tell the event log what it serves."""
    found = endpoint_row(connection, project, endpoint)
    release_versions(
        connection,
        project=project,
        endpoint=endpoint,
        digests=found.digests.values(),
        keep=found.loaded,
    )
    payload: dict[str, Any] = {
        "revision": found.revision,
        "shares": {str(share.version): share.weight for share in found.shares},
    }
    if found.shadows:
        payload["shadows"] = {str(share.version): share.weight for share in found.shadows}
    if found.cascade is not None:
        payload["cascade"] = msgspec.to_builtins(found.cascade)
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=ENDPOINT_CHANGED,
        subject=f"endpoint:{endpoint}",
        project=project,
        payload=payload,
    )
