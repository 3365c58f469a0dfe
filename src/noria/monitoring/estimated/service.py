"""Operations on estimates of quality."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import unknown_name
from noria.core.operations import Service, operation
from noria.monitoring.estimated.entities import (
    EstimateHistory,
    EstimatePoint,
    FoundEstimate,
    LabelledEstimates,
    LabelledQuality,
    StandingEstimate,
)
from noria.monitoring.estimated.tables import monitor_estimate_points, monitor_estimates
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.tables import monitors

KEPT_POINTS: Final = 500
"""Past estimates of each endpoint that are kept."""


class Estimates(Service):
    """Quality of endpoints as far as it can be told without labels."""

    @operation("GET", "/projects/{project}/monitors/{endpoint}/estimate", needs=READ_MONITORS)
    def get(self, project: str, endpoint: str) -> FoundEstimate:
        """Get the newest estimate of an endpoint, and what it supposes."""
        with self.context.database.read() as connection:
            return _found(connection, _monitor_pk(connection, project, endpoint))

    @operation("GET", "/projects/{project}/monitors/{endpoint}/estimates", needs=READ_MONITORS)
    def past(self, project: str, endpoint: str, limit: int = 100) -> EstimateHistory:
        """List past estimates of an endpoint, newest first, with what labels said of the same answers.

        Parameters
        ----------
        limit
            At most this many, 1 to 500; no more are kept.
        """
        c = monitor_estimate_points.c
        with self.context.database.read() as connection:
            monitor = _monitor_pk(connection, project, endpoint)
            query = sa.select(c.body).where(c.monitor_pk == monitor).order_by(c.position.desc())
            bounded = query.limit(max(1, min(limit, KEPT_POINTS)))
            return EstimateHistory(items=list(connection.execute(bounded).scalars()))

    @operation("PUT", "/projects/{project}/monitors/{endpoint}/estimate", needs=WRITE_MONITORS)
    def record(self, project: str, endpoint: str, estimate: StandingEstimate) -> FoundEstimate:
        """Take in an estimate, unless one of later answers is there. It raises no alert and starts no action."""
        c = monitor_estimates.c
        with self.context.database.write() as connection:
            monitor = _monitor_pk(connection, project, endpoint)
            insert = self.context.database.insert(monitor_estimates).values(
                monitor_pk=monitor,
                position=estimate.position,
                body=estimate,
                label_position=estimate.label_position,
            )
            new = insert.excluded
            # Labels that came while the answers were read may be in no point yet: they are read again.
            earlier = sa.case(
                (c.label_position < new.label_position, c.label_position), else_=new.label_position
            )
            taken = connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["monitor_pk"],
                    set_={"position": new.position, "body": new.body, "label_position": earlier},
                    where=c.position < new.position,
                ).returning(c.position)
            ).all()
            point = _point(estimate)
            if taken and point is not None:
                self._keep(connection, monitor, point)
            return _found(connection, monitor)

    @operation("PUT", "/projects/{project}/monitors/{endpoint}/estimate/labels", needs=WRITE_MONITORS)
    def measured(self, project: str, endpoint: str, labels: LabelledEstimates) -> FoundEstimate:
        """Take in what newly come labels say of past estimates, once: only if labels still stand where it began."""
        c, points = monitor_estimates.c, monitor_estimate_points
        with self.context.database.write() as connection:
            monitor = _monitor_pk(connection, project, endpoint)
            stands = sa.and_(c.monitor_pk == monitor, c.label_position == labels.from_label_position)
            moved = sa.update(monitor_estimates).where(stands).values(label_position=labels.label_position)
            told: dict[int, LabelledQuality | None] = {}
            if connection.execute(moved).rowcount:
                told = {each.position: each.labelled for each in labels.points}
            here = sa.and_(points.c.monitor_pk == monitor, points.c.position.in_(told))
            rows: list[EstimatePoint] = list(
                connection.execute(sa.select(points.c.body).where(here)).scalars()
            )
            for point in rows:
                body = msgspec.structs.replace(point, labelled=told[point.position])
                one = sa.and_(points.c.monitor_pk == monitor, points.c.position == point.position)
                connection.execute(sa.update(points).where(one).values(body=body))
            return _found(connection, monitor)

    def _keep(self, connection: sa.Connection, monitor: int, point: EstimatePoint) -> None:
        """Keep a point, and forget those beyond the newest."""
        c = monitor_estimate_points.c
        values: dict[str, Any] = {"monitor_pk": monitor, "position": point.position, "body": point}
        insert = self.context.database.insert(monitor_estimate_points).values(values)
        connection.execute(insert.on_conflict_do_nothing())
        newest = (
            sa.select(c.position)
            .where(c.monitor_pk == monitor)
            .order_by(c.position.desc())
            .limit(1)
            .offset(KEPT_POINTS - 1)
        )
        oldest = connection.execute(newest).scalar_one_or_none()
        if oldest is not None:
            gone = sa.and_(c.monitor_pk == monitor, c.position < oldest)
            connection.execute(sa.delete(monitor_estimate_points).where(gone))


def _point(estimate: StandingEstimate) -> EstimatePoint | None:
    """Give what is kept of an estimate when the next one takes its place."""
    if estimate.estimated is None or not estimate.first_position:
        return None
    return EstimatePoint(
        version=estimate.version,
        first_position=estimate.first_position,
        position=estimate.position,
        first_at=estimate.first_at,
        last_at=estimate.last_at,
        n_rows=estimate.estimated.n_rows,
        metrics=estimate.estimated.metrics,
        labelled=estimate.labelled,
    )


def _found(connection: sa.Connection, monitor: int) -> FoundEstimate:
    c = monitor_estimates.c
    query = sa.select(c.body, c.label_position).where(c.monitor_pk == monitor)
    row = connection.execute(query).one_or_none()
    return (
        FoundEstimate()
        if row is None
        else FoundEstimate(standing=row.body, label_position=row.label_position)
    )


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
