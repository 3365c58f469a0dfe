"""Raise alerts and close them; each is raised once while it stands open, and joins the group of its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.monitoring.alerts.tables import alert_groups
from noria.monitoring.entities import AlertKind, NewAlert
from noria.monitoring.events import ALERT_CLOSED, ALERT_OPENED
from noria.monitoring.tables import alerts, monitors
from noria.monitoring.windows.store import begin_segment_anew
from noria.monitoring.windows.tables import monitor_segments

if TYPE_CHECKING:
    from noria.core.context import Context


class Raising:
    """Alerts of one project in one transaction.

    Parameters
    ----------
    connection
        Of the transaction.
    """

    def __init__(self, context: Context, connection: sa.Connection, project: str) -> None:
        self._context = context
        self._connection = connection
        self._project = project
        self._project_pk = project_pk(connection, project)

    def open_kinds(self, endpoint: str) -> dict[AlertKind, str]:
        """Give the id of the open alert of each kind that has one."""
        query = sa.select(alerts.c.kind, alerts.c.id).where(self._of(endpoint), alerts.c.closed_at.is_(None))
        return {AlertKind(kind): identity for kind, identity in self._connection.execute(query)}

    def start(self, endpoint: str, new: NewAlert, *, cause: str | None = None) -> None:
        """Raise an alert unless one of its kind is open.

        Parameters
        ----------
        cause
            Of its group; the endpoint's own when left out.
        """
        if new.kind in self.open_kinds(endpoint):
            return
        now = self._context.clock.now()
        alert_id, values = new_id(), msgspec.structs.asdict(new)
        row = {
            "id": alert_id,
            "project_pk": self._project_pk,
            "endpoint": endpoint,
            "opened_at": now,
            "group_pk": self._group(cause or f"endpoint:{endpoint}"),
            **values,
        }
        self._connection.execute(sa.insert(alerts).values(row))
        told = {**values, "since": None if new.since is None else new.since.isoformat()}
        self._emit(ALERT_OPENED, endpoint, {"alert": alert_id, "endpoint": endpoint, **told})

    def close(self, endpoint: str, kind: AlertKind, why: str) -> None:
        """Close the open alert of a kind, if there is one."""
        found = self.open_kinds(endpoint).get(kind)
        if found is not None:
            self.close_one(found, endpoint, kind, why)

    def close_one(self, alert_id: str, endpoint: str, kind: AlertKind, why: str) -> None:
        """Close an alert unless it is closed; one about quality starts the evidence anew."""
        closed = self._connection.execute(
            sa.update(alerts)
            .where(alerts.c.id == alert_id, alerts.c.closed_at.is_(None))
            .values(closed_at=self._context.clock.now(), closed_why=why)
        )
        if closed.rowcount != 1:
            return
        if kind is AlertKind.QUALITY:
            segment = self._connection.execute(
                sa.select(alerts.c.segment).where(alerts.c.id == alert_id)
            ).scalar_one()
            of_endpoint = (monitors.c.project_pk == self._project_pk) & (monitors.c.endpoint == endpoint)
            if segment is None:
                self._connection.execute(sa.update(monitors).where(of_endpoint).values(detector=None))
            else:
                pks = sa.select(monitors.c.pk).where(of_endpoint)
                begin_segment_anew(self._connection, monitor_segments.c.monitor_pk.in_(pks), segment)
        self._emit(ALERT_CLOSED, endpoint, {"alert": alert_id, "why": why})

    def _group(self, cause: str) -> int:
        """Join the open group of a cause, or open one."""
        same = (alert_groups.c.project_pk == self._project_pk) & (alert_groups.c.cause == cause)
        joined = self._connection.execute(
            sa.update(alert_groups)
            .where(same, alert_groups.c.closed_at.is_(None))
            .values(n_alerts=alert_groups.c.n_alerts + 1)
            .returning(alert_groups.c.pk)
        ).scalar_one_or_none()
        if joined is not None:
            return int(joined)
        row = {
            "id": new_id(),
            "project_pk": self._project_pk,
            "cause": cause,
            "n_alerts": 1,
            "opened_at": self._context.clock.now(),
        }
        made = self._connection.execute(sa.insert(alert_groups).values(row).returning(alert_groups.c.pk))
        return int(made.scalar_one())

    def _of(self, endpoint: str) -> sa.ColumnElement[bool]:
        return sa.and_(alerts.c.project_pk == self._project_pk, alerts.c.endpoint == endpoint)

    def _emit(self, kind: EventType, endpoint: str, payload: dict[str, Any]) -> None:
        append(
            self._connection,
            self._context.clock,
            actor=self._context.principal.name,
            type=kind,
            subject=f"endpoint:{endpoint}",
            project=self._project,
            payload=payload,
        )
