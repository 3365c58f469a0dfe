"""Operations on rollouts."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.operations import Service, operation
from noria.registry.service import Models
from noria.serving.entities import Reason, Rollout, RolloutCheck, RolloutPage, RolloutStatus
from noria.serving.permissions import APPROVE, DEPLOY, READ_ENDPOINTS
from noria.serving.rollouts.approving import approve, check_approved
from noria.serving.rollouts.deployment import settle_alias
from noria.serving.rollouts.passage import end, pause, resume
from noria.serving.rollouts.progress import judge, to_check
from noria.serving.rollouts.sight import StoredRollout, load_rollout, see, select_rollouts, stored_rollout
from noria.serving.sentences import ABORTED_BY_HAND, PROMOTED_BY_HAND
from noria.serving.tables import endpoints, rollouts


class Rollouts(Service):
    """The passages of endpoints from one version to another."""

    @operation("GET", "/projects/{project}/rollouts", needs=READ_ENDPOINTS)
    def list(
        self,
        project: str,
        endpoint: str | None = None,
        status: RolloutStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> RolloutPage:
        """List rollouts, newest first, from the one that precedes the id `before`."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = select_rollouts().where(endpoints.c.project_pk == project_pk(connection, project))
            if endpoint is not None:
                query = query.where(endpoints.c.name == endpoint)
            if status is not None:
                query = query.where(rollouts.c.status == status.value)
            if before is not None:
                query = query.where(rollouts.c.id < before)
            rows = connection.execute(query.order_by(rollouts.c.id.desc()).limit(bound + 1)).mappings().all()
        items = [stored_rollout(row).rollout for row in rows[:bound]]
        return RolloutPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/rollouts/{rollout_id}", needs=READ_ENDPOINTS)
    def get(self, project: str, rollout_id: str) -> Rollout:
        """Get one rollout."""
        with self.context.database.read() as connection:
            return load_rollout(connection, rollout_id, project).rollout

    @operation("GET", "/projects/{project}/rollouts/{rollout_id}/check", needs=READ_ENDPOINTS)
    def check(self, project: str, rollout_id: str) -> RolloutCheck:
        """Tell how the present step stands: what its gates say now, and what it waits for."""
        with self.context.database.read() as connection:
            stored = load_rollout(connection, rollout_id, project)
            return to_check(see(connection, stored, self.context.clock.now()))

    @operation("POST", "/projects/{project}/rollouts/{rollout_id}/pause", needs=DEPLOY, status=200)
    def pause(self, project: str, rollout_id: str, why: Reason) -> Rollout:
        """Keep a rollout from going forward. A gate that fails still rolls it back."""
        return self._change(
            project,
            rollout_id,
            lambda connection, stored: pause(connection, self.context, stored, why.reason),
        )

    @operation("POST", "/projects/{project}/rollouts/{rollout_id}/resume", needs=DEPLOY, status=200)
    def resume(self, project: str, rollout_id: str) -> Rollout:
        """Let a paused rollout go on."""
        return self._change(
            project, rollout_id, lambda connection, stored: resume(connection, self.context, stored)
        )

    @operation("POST", "/projects/{project}/rollouts/{rollout_id}/approve", needs=APPROVE, status=200)
    def approve(self, project: str, rollout_id: str, why: Reason) -> Rollout:
        """Agree to a rollout that waits for others than the one who began it.

        Raises
        ------
        MayNotApprove
            If the caller began it, or lacks the role that it asks for.
        """
        return self._change(
            project,
            rollout_id,
            lambda connection, stored: approve(connection, self.context, stored, why.reason),
        )

    @operation("POST", "/projects/{project}/rollouts/{rollout_id}/promote", needs=DEPLOY, status=200)
    def promote(self, project: str, rollout_id: str, why: Reason) -> Rollout:
        """Let the new version answer every request now, whatever the gates say.

        Raises
        ------
        NotApproved
            If the rollout waits for persons who have not agreed to it yet.
        """
        rollout = self._end(project, rollout_id, RolloutStatus.PROMOTED, why.reason or PROMOTED_BY_HAND)
        return settle_alias(self.sibling(Models), rollout)

    @operation("POST", "/projects/{project}/rollouts/{rollout_id}/abort", needs=DEPLOY, status=200)
    def abort(self, project: str, rollout_id: str, why: Reason) -> Rollout:
        """Let the old version answer every request again."""
        return self._end(project, rollout_id, RolloutStatus.ROLLED_BACK, why.reason or ABORTED_BY_HAND)

    def _end(self, project: str, rollout_id: str, status: RolloutStatus, reason: str) -> Rollout:
        def write(connection: sa.Connection, stored: StoredRollout) -> Rollout:
            if stored.rollout.status is status:
                return stored.rollout
            if status is RolloutStatus.PROMOTED:
                check_approved(stored.rollout)
            results = judge(see(connection, stored, self.context.clock.now())).results
            return end(connection, self.context, stored, status, reason, results)

        return self._change(project, rollout_id, write)

    def _change(
        self,
        project: str,
        rollout_id: str,
        write: Callable[[sa.Connection, StoredRollout], Rollout],
    ) -> Rollout:
        with self.context.database.write(durable=True) as connection:
            place = sa.select(rollouts.c.endpoint_pk).where(rollouts.c.id == rollout_id).scalar_subquery()
            connection.execute(sa.select(endpoints.c.pk).where(endpoints.c.pk == place).with_for_update())
            return write(connection, load_rollout(connection, rollout_id, project))
