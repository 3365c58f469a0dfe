"""The stored side of rollouts: find them, see how they stand, and move them.

A move changes rollout, endpoint and event log in one transaction, and only if the rollout is still as it was when the
move was decided. So a move that is made twice, or by two at once, happens once.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Conflict
from noria.core.events.log import EventType, append
from noria.registry.uses import release_versions
from noria.serving.counts import read_counts
from noria.serving.entities import (
    MOVES,
    GateResult,
    Rollout,
    RolloutStatus,
    Share,
    StepResult,
    Verdict,
    shares_at,
)
from noria.serving.events import (
    ENDPOINT_CHANGED,
    ROLLOUT_ADVANCED,
    ROLLOUT_FAILED,
    ROLLOUT_PAUSED,
    ROLLOUT_PROMOTED,
    ROLLOUT_RESUMED,
    ROLLOUT_ROLLED_BACK,
)
from noria.serving.gates import combine
from noria.serving.locate import endpoint_row
from noria.serving.predictions import StatsTable
from noria.serving.rollouts.progress import Finding, Move, judge, weight_of
from noria.serving.rollouts.sight import StoredRollout, load_rollout, see
from noria.serving.tables import endpoints, rollouts


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
        return stored.rollout, finding.look_again_s
    try:
        with context.database.write(durable=True) as connection:
            return make_move(connection, context, stored, finding), 0.0
    except RolloutMoved:
        return stored.rollout, 0.0


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
        return change(connection, context, stored, {"step_started_at": context.clock.now()})
    if finding.move is Move.NEXT_STEP:
        return _next_step(connection, context, stored, finding.results)
    verdict = combine(finding.results) if finding.results else Verdict.FAIL
    status = RolloutStatus.PROMOTED if finding.move is Move.PROMOTE else RolloutStatus.ROLLED_BACK
    reason = finding.reason or "Every step passed its gates"
    return end(connection, context, stored, status, reason, finding.results, verdict)


def _next_step(
    connection: sa.Connection, context: Context, stored: StoredRollout, results: list[GateResult]
) -> Rollout:
    step = stored.rollout.step + 1
    history = [*stored.rollout.history, _step_result(connection, context, stored, results, Verdict.PASS)]
    return change(
        connection,
        context,
        stored,
        {"step": step, "step_started_at": None, "history": history},
        shares=shares_at(stored.rollout, step),
        event=ROLLOUT_ADVANCED,
        payload={"step": step, "weight": stored.rollout.steps[step].weight},
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
    winner = rollout.to_version if status is RolloutStatus.PROMOTED else rollout.from_version
    shares = [Share(version=winner if winner is not None else rollout.to_version, weight=1.0)]
    return change(
        connection,
        context,
        stored,
        {
            "status": status.value,
            "reason": reason,
            "ended_at": context.clock.now(),
            "history": [*rollout.history, _step_result(connection, context, stored, results, verdict)],
        },
        shares=None if status is RolloutStatus.FAILED else shares,
        event=_ENDS[status],
        payload={"reason": reason, "from": rollout.from_version, "to": rollout.to_version},
    )


_ENDS = {
    RolloutStatus.PROMOTED: ROLLOUT_PROMOTED,
    RolloutStatus.ROLLED_BACK: ROLLOUT_ROLLED_BACK,
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
    shares: list[Share] | None = None,
    event: EventType | None = None,
    payload: dict[str, Any] | None = None,
) -> Rollout:
    """Change a rollout, and the shares of its endpoint, if it is still as it was read.

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
    if shares is not None:
        change_shares(connection, context, stored, shares)
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


def change_shares(
    connection: sa.Connection, context: Context, stored: StoredRollout, shares: list[Share]
) -> None:
    """Let an endpoint share its requests differently.

    Raises
    ------
    RolloutMoved
        If the endpoint changed since it was read.
    """
    revision = stored.endpoint_revision + 1
    done = connection.execute(
        sa.update(endpoints)
        .where(
            endpoints.c.pk == stored.endpoint_pk,
            endpoints.c.revision == stored.endpoint_revision,
            endpoints.c.deleted_at.is_(None),
        )
        .values(shares=shares, revision=revision)
    )
    if done.rowcount != 1:
        raise RolloutMoved(stored.rollout.id)
    settle_shares(connection, context, stored.rollout.project, stored.rollout.endpoint, shares, revision)


def settle_shares(
    connection: sa.Connection,
    context: Context,
    project: str,
    endpoint: str,
    shares: list[Share],
    revision: int,
) -> None:
    """Let go of the versions that an endpoint needs no longer, and tell the event log how it shares its requests."""
    found = endpoint_row(connection, project, endpoint)
    release_versions(
        connection,
        project=project,
        endpoint=endpoint,
        digests=found.digests.values(),
        keep={share.version for share in shares},
    )
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=ENDPOINT_CHANGED,
        subject=f"endpoint:{endpoint}",
        project=project,
        payload={"revision": revision, "shares": {str(share.version): share.weight for share in shares}},
    )


def _step_result(
    connection: sa.Connection,
    context: Context,
    stored: StoredRollout,
    results: list[GateResult],
    verdict: Verdict,
) -> StepResult:
    counted = read_counts(connection, stored.endpoint_pk, stored.step_endpoint_revision)
    rollout = stored.rollout
    return StepResult(
        step=rollout.step,
        weight=weight_of(rollout),
        started_at=rollout.step_started_at,
        ended_at=context.clock.now(),
        verdict=verdict,
        n_requests=StatsTable(items=counted).of(rollout.to_version).n_requests,
        results=results,
    )
