"""Operations on estimates of quality."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import unknown_name
from noria.core.operations import Service, operation
from noria.monitoring.estimated.entities import FoundEstimate, StandingEstimate
from noria.monitoring.estimated.tables import monitor_estimates
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.tables import monitors


class Estimates(Service):
    """Quality of endpoints as far as it can be told without labels."""

    @operation("GET", "/projects/{project}/monitors/{endpoint}/estimate", needs=READ_MONITORS)
    def get(self, project: str, endpoint: str) -> FoundEstimate:
        """Get the newest estimate of an endpoint, and what it supposes."""
        with self.context.database.read() as connection:
            monitor = _monitor_pk(connection, project, endpoint)
            query = sa.select(monitor_estimates.c.body).where(monitor_estimates.c.monitor_pk == monitor)
            return FoundEstimate(standing=connection.execute(query).scalar_one_or_none())

    @operation("PUT", "/projects/{project}/monitors/{endpoint}/estimate", needs=WRITE_MONITORS)
    def record(self, project: str, endpoint: str, estimate: StandingEstimate) -> FoundEstimate:
        """Take in an estimate, unless one of later answers is there. It raises no alert and starts no action."""
        with self.context.database.write() as connection:
            monitor = _monitor_pk(connection, project, endpoint)
            insert = self.context.database.insert(monitor_estimates).values(
                monitor_pk=monitor, position=estimate.position, body=estimate
            )
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["monitor_pk"],
                    set_={"position": insert.excluded.position, "body": insert.excluded.body},
                    where=monitor_estimates.c.position < insert.excluded.position,
                )
            )
            query = sa.select(monitor_estimates.c.body).where(monitor_estimates.c.monitor_pk == monitor)
            return FoundEstimate(standing=connection.execute(query).scalar_one())


def _monitor_pk(connection: sa.Connection, project: str, endpoint: str) -> int:
    in_project = monitors.c.project_pk == project_pk(connection, project)
    query = sa.select(monitors.c.pk).where(in_project, monitors.c.endpoint == endpoint)
    found: int | None = connection.execute(query).scalar_one_or_none()
    if found is None:
        known = sa.select(monitors.c.endpoint).where(in_project).limit(1000)
        raise unknown_name(
            "monitor", endpoint, connection.execute(known).scalars(), see="noria monitors list"
        )
    return found
