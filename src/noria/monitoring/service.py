"""Operations on monitors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, NotFound, unknown_name
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.monitoring.alerts.raising import Raising
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.entities import (
    Alert,
    AlertKind,
    AlertPage,
    CloseAlert,
    Look,
    Monitor,
    MonitorList,
    MonitorSection,
    SegmentQualityList,
    Window,
    WindowPage,
)
from noria.monitoring.events import MONITOR_CREATED
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.tables import alerts, monitor_windows, monitors
from noria.monitoring.windows import store
from noria.monitoring.windows.entities import History, WindowCountsList


class LookOutdated(Conflict):
    """Another look was taken in since this one began; nothing of this one was kept."""

    code = "look_outdated"


class Monitors(Service):
    """What watches endpoints."""

    @operation("GET", "/projects/{project}/monitors", needs=READ_MONITORS)
    def list(self, project: str) -> MonitorList:
        """List the project's monitors."""
        with self.context.database.read() as connection:
            query = (
                sa.select(monitors)
                .where(monitors.c.project_pk == project_pk(connection, project))
                .order_by(monitors.c.endpoint)
            )
            rows = connection.execute(query).mappings().all()
        return MonitorList(items=[_monitor(project, row) for row in rows])

    @operation("GET", "/projects/{project}/monitors/{endpoint}", needs=READ_MONITORS)
    def get(self, project: str, endpoint: str) -> Monitor:
        """Get what watches an endpoint."""
        with self.context.database.read() as connection:
            return _monitor(project, _find(connection, project, endpoint))

    @operation("PUT", "/projects/{project}/monitors/{endpoint}", needs=WRITE_MONITORS)
    def watch(self, project: str, endpoint: str) -> Monitor:
        """Watch an endpoint; does nothing when it is watched already."""
        with self.context.database.read() as connection:  # as nearly always: nothing is written then
            found = _row(connection, project_pk(connection, project), endpoint)
        if found is not None:
            return _monitor(project, found)
        row = {
            "id": new_id(),
            "endpoint": endpoint,
            "position": 0,
            "label_position": 0,
            "version": 0,
            "n_windows": 0,
            "created_at": self.context.clock.now(),
        }
        with self.context.database.write() as connection:
            row["project_pk"] = project_pk(connection, project)
            insert = self.context.database.insert(monitors).values(**row)
            made = connection.execute(
                insert.on_conflict_do_nothing(index_elements=["project_pk", "endpoint"]).returning(
                    monitors.c.pk
                )
            ).first()
            if made is not None:
                self._emit(connection, project, MONITOR_CREATED, f"endpoint:{endpoint}", {})
            return _monitor(project, _find(connection, project, endpoint))

    @operation("GET", "/projects/{project}/monitors/{endpoint}/windows", needs=READ_MONITORS)
    def windows(self, project: str, endpoint: str, limit: int = 50, before: int | None = None) -> WindowPage:
        """List an endpoint's windows, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            monitor = _find(connection, project, endpoint)
            query = (
                sa.select(monitor_windows.c.body)
                .where(monitor_windows.c.monitor_pk == monitor["pk"])
                .order_by(monitor_windows.c.index.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(monitor_windows.c.index < before)
            found: list[Window] = list(connection.execute(query).scalars())
        items = found[:bound]
        return WindowPage(items=items, next=items[-1].index if len(found) > bound else None)

    @operation("GET", "/projects/{project}/monitors/{endpoint}/windows/{index}/counts", needs=READ_MONITORS)
    def counts(self, project: str, endpoint: str, index: int) -> WindowCountsList:
        """Give the counters of a window, by version and segment; none of one that is long past."""
        with self.context.database.read() as connection:
            return store.counts_of(connection, _find(connection, project, endpoint)["pk"], index)

    @operation("GET", "/projects/{project}/monitors/{endpoint}/history/{version}", needs=READ_MONITORS)
    def history(self, project: str, endpoint: str, version: int) -> History:
        """Give how far a version's rows were from its reference in past hours, ten weeks at most."""
        with self.context.database.read() as connection:
            return store.history_of(connection, _find(connection, project, endpoint)["pk"], version)

    @operation("GET", "/projects/{project}/monitors/{endpoint}/segments", needs=READ_MONITORS)
    def segments(self, project: str, endpoint: str) -> SegmentQualityList:
        """Give the quality of labelled answers by version and segment."""
        with self.context.database.read() as connection:
            pk = _find(connection, project, endpoint)["pk"]
            return SegmentQualityList(items=store.segments_of(connection, pk))

    @operation("GET", "/projects/{project}/monitors/{endpoint}/label-delays", needs=READ_MONITORS)
    def label_delays(self, project: str, endpoint: str) -> LabelDelays:
        """Give answers and the delays of their labels by when the answers were given; `delay_report` reads them."""
        with self.context.database.read() as connection:
            return store.delays_of(connection, _find(connection, project, endpoint)["pk"])

    @operation("POST", "/projects/{project}/monitors/{endpoint}/looks", needs=WRITE_MONITORS)
    def record(self, project: str, endpoint: str, look: Look) -> Monitor:
        """Take in what a look found: windows, counters, state, and alerts unless one of the same kind is open.

        All of it is kept in one transaction, and only if the monitor stands where the look began: every row up to the
        monitor's position is counted, and none is counted twice.

        Raises
        ------
        LookOutdated
            If the monitor no longer stands where the look began.
        """
        settings = self.context.settings.section("monitors", MonitorSection)
        with self.context.database.write() as connection:
            monitor = _find(connection, project, endpoint)
            self._move(connection, monitor, look)
            n_new = store.keep(
                self.context.database, connection, monitor["pk"], look, keep_windows=settings.keep_windows
            )
            if n_new:
                of_monitor = monitors.c.pk == monitor["pk"]
                connection.execute(
                    sa.update(monitors).where(of_monitor).values(n_windows=monitors.c.n_windows + n_new)
                )
            raising = Raising(self.context, connection, project)
            for ended in look.over:
                raising.close(endpoint, ended.kind, ended.why)
            for new in look.alerts:
                raising.start(endpoint, new)
            return _monitor(project, _find(connection, project, endpoint))

    @operation("GET", "/projects/{project}/alerts", needs=READ_MONITORS)
    def alerts(
        self,
        project: str,
        endpoint: str = "",
        open_only: bool = False,
        limit: int = 50,
        before: str | None = None,
    ) -> AlertPage:
        """List alerts, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(*ALERT_COLUMNS)
                .where(alerts.c.project_pk == project_pk(connection, project))
                .order_by(alerts.c.id.desc())
                .limit(bound + 1)
            )
            if endpoint:
                query = query.where(alerts.c.endpoint == endpoint)
            if open_only:
                query = query.where(alerts.c.closed_at.is_(None))
            if before is not None:
                query = query.where(alerts.c.id < before)
            rows = connection.execute(query).mappings().all()
        items = [read_alert(project, row) for row in rows[:bound]]
        return AlertPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/alerts/{alert_id}", needs=READ_MONITORS)
    def alert(self, project: str, alert_id: str) -> Alert:
        """Get one alert."""
        with self.context.database.read() as connection:
            return _alert(connection, project, alert_id)

    @operation("POST", "/projects/{project}/alerts/{alert_id}/close", needs=WRITE_MONITORS, status=200)
    def close_alert(self, project: str, alert_id: str, close: CloseAlert) -> Alert:
        """Say that an alert is over; closing it again changes nothing.

        Closing one about quality starts the evidence anew: only labels that come from now on raise another.
        """
        with self.context.database.write() as connection:
            found = _alert(connection, project, alert_id)
            raising = Raising(self.context, connection, project)
            raising.close_one(alert_id, found.endpoint, found.kind, close.why)
            return _alert(connection, project, alert_id)

    def _move(self, connection: sa.Connection, monitor: Any, look: Look) -> None:
        moved = connection.execute(
            sa.update(monitors)
            .where(monitors.c.pk == monitor["pk"])
            .where(monitors.c.position == look.from_position)
            .where(monitors.c.label_position == look.from_label_position)
            .values(
                position=look.position,
                label_position=look.label_position,
                version=look.version,
                detector=look.detector,
                quality=look.quality,
                cutting=look.cutting if look.cutting is not None else monitor["cutting"],
                looked_at=self.context.clock.now(),
            )
        )
        if moved.rowcount != 1:
            raise LookOutdated(
                f"The monitor of `{monitor['endpoint']}` has moved on to row {monitor['position']}",
                hint="Look again from there",
            )

    def _emit(
        self, connection: sa.Connection, project: str, kind: Any, subject: str, payload: dict[str, Any]
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=subject,
            project=project,
            payload=payload,
        )


ALERT_COLUMNS = [column for column in alerts.c if column.name not in ("pk", "project_pk", "group_pk")]


def _find(connection: sa.Connection, project: str, endpoint: str) -> Any:
    in_project_pk = project_pk(connection, project)
    row = _row(connection, in_project_pk, endpoint)
    if row is None:
        in_project = monitors.c.project_pk == in_project_pk
        known = sa.select(monitors.c.endpoint).where(in_project).limit(1000)
        raise unknown_name(
            "monitor", endpoint, connection.execute(known).scalars(), see="noria monitors list"
        )
    return row


def _row(connection: sa.Connection, of_project: int, endpoint: str) -> Any:
    query = sa.select(monitors).where(monitors.c.project_pk == of_project, monitors.c.endpoint == endpoint)
    return connection.execute(query).mappings().one_or_none()


def _monitor(project: str, row: Any) -> Monitor:
    fields = {key: value for key, value in row.items() if key not in ("pk", "project_pk")}
    return Monitor(project=project, **fields)


def _alert(connection: sa.Connection, project: str, alert_id: str) -> Alert:
    query = (
        sa.select(*ALERT_COLUMNS)
        .where(alerts.c.id == alert_id)
        .where(alerts.c.project_pk == project_pk(connection, project))
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no alert `{alert_id}`", hint="See `noria monitors alerts`")
    return read_alert(project, row)


def read_alert(project: str, row: Any) -> Alert:
    """Read a row of `ALERT_COLUMNS`."""
    return Alert(project=project, **{**row, "kind": AlertKind(row["kind"])})
