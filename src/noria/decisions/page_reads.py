"""What pages read beyond the operations: the decisions that answered alerts."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.operations import Service
from noria.decisions.entities import Decision
from noria.decisions.permissions import READ_DECISIONS
from noria.decisions.tables import decisions


class DecisionReads(Service):
    """Reads for pages; no operations: programs have `Decisions`."""

    def of_alerts(self, project: str, alert_ids: Collection[str]) -> dict[str, Decision]:
        """Give the decision that each alert led to, by the alert's id; alerts that led to none are left out."""
        admit(self.context.principal, READ_DECISIONS, project)
        with self.context.database.read() as connection:
            query = (
                sa.select(decisions.c.alert_id, decisions.c.body)
                .where(decisions.c.project_pk == project_pk(connection, project))
                .where(decisions.c.alert_id.in_(alert_ids))
            )
            return {row.alert_id: row.body for row in connection.execute(query)}
