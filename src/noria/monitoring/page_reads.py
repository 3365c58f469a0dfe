"""What pages read beyond the operations: closed alerts alone, and how many are open."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.operations import Service
from noria.monitoring.entities import Alert
from noria.monitoring.permissions import READ_MONITORS
from noria.monitoring.service import ALERT_COLUMNS, read_alert
from noria.monitoring.tables import alerts


class AlertReads(Service):
    """Reads for pages; no operations: programs have `Monitors`."""

    def page(
        self, project: str, *, is_open: bool, limit: int, endpoint: str = "", before: str | None = None
    ) -> tuple[tuple[Alert, ...], str | None]:
        """List open or closed alerts, newest first; the id before which the next page begins, or None."""
        admit(self.context.principal, READ_MONITORS, project)
        with self.context.database.read() as connection:
            closed_at = alerts.c.closed_at
            query = (
                sa.select(*ALERT_COLUMNS)
                .where(alerts.c.project_pk == project_pk(connection, project))
                .where(closed_at.is_(None) if is_open else closed_at.is_not(None))
                .order_by(alerts.c.id.desc())
                .limit(limit + 1)
            )
            if endpoint:
                query = query.where(alerts.c.endpoint == endpoint)
            if before is not None:
                query = query.where(alerts.c.id < before)
            rows = connection.execute(query).mappings().all()
        items = tuple(read_alert(project, row) for row in rows[:limit])
        return items, items[-1].id if len(rows) > limit else None

    def n_open(self, project: str, endpoints: Collection[str]) -> dict[str, int]:
        """Count the open alerts of endpoints; those that have none are left out."""
        admit(self.context.principal, READ_MONITORS, project)
        with self.context.database.read() as connection:
            query = (
                sa.select(alerts.c.endpoint, sa.func.count().label("n"))
                .where(alerts.c.project_pk == project_pk(connection, project))
                .where(alerts.c.endpoint.in_(endpoints), alerts.c.closed_at.is_(None))
                .group_by(alerts.c.endpoint)
            )
            return {row.endpoint: row.n for row in connection.execute(query)}
