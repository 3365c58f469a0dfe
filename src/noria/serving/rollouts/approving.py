"""Agree to a rollout that waits for others than the one who began it."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Conflict, Forbidden
from noria.serving.entities import Approval, Approvals, Rollout
from noria.serving.events import ROLLOUT_APPROVED
from noria.serving.rollouts.passage import RolloutFinished, change
from noria.serving.rollouts.progress import lacking_sentence
from noria.serving.rollouts.sight import StoredRollout
from noria.serving.rollouts.steps import n_lacking

_MACHINES: Final = ("control", "noria", "anyone")


class NotApproved(Conflict):
    """The rollout waits for persons who have not agreed to it yet."""

    code = "not_approved"

    def __init__(self, rollout: Rollout, approvals: Approvals) -> None:
        super().__init__(
            f"The rollout `{rollout.id}` cannot be promoted yet. {lacking_sentence(rollout, approvals.before)}",
            hint=f"Ask them, or end it: `noria rollouts abort {rollout.id}`",
            details={"rollout_id": rollout.id, "n_lacking": n_lacking(rollout, approvals.before)},
        )


class MayNotApprove(Forbidden):
    """The caller is not one of the persons whose agreement counts."""

    code = "may_not_approve"


def approve(
    connection: sa.Connection, context: Context, stored: StoredRollout, reason: str | None
) -> Rollout:
    """Note that the caller agrees. Agreeing twice counts once.

    Raises
    ------
    RolloutFinished
        If it has ended.
    Conflict
        If it asks for nobody's agreement.
    MayNotApprove
        If the caller began it, lacks the role, or is a program.
    """
    rollout, principal = stored.rollout, context.principal
    if rollout.status.is_finished():
        raise RolloutFinished(rollout)
    if rollout.approvals is None:
        raise Conflict(f"The rollout `{rollout.id}` waits for nobody's approval")
    _check_may(context, rollout, rollout.approvals)
    if any(given.by == principal.name for given in rollout.approved):
        return rollout
    given = Approval(by=principal.name, at=context.clock.now(), reason=reason)
    approved = [*rollout.approved, given]
    return change(
        connection,
        context,
        stored,
        {"approved": approved},
        event=ROLLOUT_APPROVED,
        payload={"n_lacking": max(0, rollout.approvals.n - len(approved)), "reason": reason},
    )


def check_approved(rollout: Rollout) -> None:
    """Refuse to give the new version every request while approvals are lacking.

    Raises
    ------
    NotApproved
        If somebody has to agree still.
    """
    asked = rollout.approvals
    if asked is not None and not rollout.status.is_finished() and n_lacking(rollout, asked.before):
        raise NotApproved(rollout, asked)


def _check_may(context: Context, rollout: Rollout, asked: Approvals) -> None:
    name = context.principal.name
    if name == rollout.started_by:
        raise MayNotApprove(
            f"`{name}` began the rollout `{rollout.id}`, so somebody else has to approve it",
            hint=f"Ask a person of the role {asked.role.value} or above",
        )
    if name in _MACHINES or ":" in name:
        raise MayNotApprove(f"`{name}` is a program, and rollouts are approved by persons")
    role = context.principal.role_in(rollout.project)
    if role is None or not role.contains(asked.role):
        raise MayNotApprove(
            f"`{name}` has the role {role.value if role else 'none'} in `{rollout.project}`, "
            f"and the rollout asks for {asked.role.value} or above",
            hint="Ask somebody who has it",
        )
