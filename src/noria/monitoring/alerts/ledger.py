"""Groups, silences and notices on record, and the move from one to the next.

A notice is written down in the transaction in which it is planned, with its text, and an event that has the control
loop send it. An attempt is claimed before it is made, so that no two make it; one that was killed is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.monitoring.alerts.entities import NoticeStatus, Silence
from noria.monitoring.alerts.planning import Group, Past, Plan, Planned, plan
from noria.monitoring.alerts.tables import alert_groups, alert_notices, alert_silences
from noria.monitoring.alerts.wording import subject_of, told_of
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.events import ALERT_NOTICED
from noria.monitoring.receivers.entities import AlertSection
from noria.monitoring.tables import alerts

_AT_ONCE = 200
_WAITING = str(NoticeStatus.WAITING)


def advance(context: Context) -> None:
    """Plan what is told of each open group, and close those that are over."""
    settings = context.settings.section("alerts", AlertSection)
    with context.database.read() as connection:
        rows = connection.execute(_OPEN).mappings().all()
        if not rows:
            return
        found = [(read_group(connection, row), _past(connection, row["pk"])) for row in rows]
        quiet = {row["project"]: silences_of(connection, row["project_pk"], row["project"]) for row in rows}
    now = context.clock.now()
    for group, past in found:
        made = plan(group, past=past, silences=quiet[group.project], settings=settings, now=now)
        if made.notices or made.settled:
            _keep(context, group, made, now)


def read_group(connection: sa.Connection, row: Any) -> Group:
    """Read a row of `alert_groups` that has the `project` it is of, with its alerts."""
    columns = [column for column in alerts.c if column.name not in ("pk", "project_pk", "group_pk")]
    query = sa.select(*columns).where(alerts.c.group_pk == row["pk"]).order_by(alerts.c.pk)
    return Group(
        pk=row["pk"],
        id=row["id"],
        project=row["project"],
        cause=row["cause"],
        opened_at=row["opened_at"],
        n_alerts=row["n_alerts"],
        alerts=[_alert(row["project"], each) for each in connection.execute(query).mappings()],
    )


def silences_of(connection: sa.Connection, project_pk: int, project: str, limit: int = 1000) -> list[Silence]:
    """List the silences of a project, those that end last first."""
    columns = [column for column in alert_silences.c if column.name not in ("pk", "project_pk")]
    query = (
        sa.select(*columns)
        .where(alert_silences.c.project_pk == project_pk)
        .order_by(alert_silences.c.ends_at.desc(), alert_silences.c.pk.desc())
        .limit(limit)
    )
    return [read_silence(project, row) for row in connection.execute(query).mappings()]


def read_silence(project: str, row: Any) -> Silence:
    """Read a row of `alert_silences`."""
    kind = row["kind"]
    fields = {name: row[name] for name in ("id", "endpoint", "why", "created_by", "created_at", "ends_at")}
    return Silence(project=project, kind=None if kind is None else AlertKind(kind), **fields)


def _alert(project: str, row: Any) -> Alert:
    return Alert(project=project, **{**row, "kind": AlertKind(row["kind"])})


def _past(connection: sa.Connection, group_pk: int) -> dict[str, Past]:
    c = alert_notices.c
    query = sa.select(c.receiver, c.alert_ids, c.created_at).where(c.group_pk == group_pk).order_by(c.pk)
    found: dict[str, Past] = {}
    for receiver, ids, at in connection.execute(query):
        known = found[receiver].alert_ids if receiver in found else frozenset()
        found[receiver] = Past(alert_ids=known.union(ids), at=at)
    return found


def _keep(context: Context, group: Group, made: Plan, now: datetime) -> None:
    with context.database.write() as connection:
        if made.settled and not _close(connection, group, now):
            return  # another alert joined meanwhile
        written = [_write(context, connection, group, notice, now) for notice in made.notices]
        if any(written):
            append(
                connection,
                context.clock,
                actor="control",
                type=ALERT_NOTICED,
                subject=group.cause,
                project=group.project,
                payload={"group": group.id, "receivers": [notice.receiver for notice in made.notices]},
            )


def _close(connection: sa.Connection, group: Group, now: datetime) -> bool:
    closed = connection.execute(
        sa.update(alert_groups)
        .where(alert_groups.c.pk == group.pk, alert_groups.c.closed_at.is_(None))
        .where(alert_groups.c.n_alerts == group.n_alerts)
        .values(closed_at=now)
    )
    return closed.rowcount == 1


def _write(context: Context, connection: sa.Connection, group: Group, notice: Planned, now: datetime) -> bool:
    shown: Sequence[Alert] = notice.alerts
    row = {
        "id": new_id(),
        "group_pk": group.pk,
        "receiver": notice.receiver,
        "kind": str(notice.kind),
        "n_alerts": group.n_alerts,
        "alert_ids": [alert.id for alert in shown],
        "subject": subject_of(group, notice.kind, shown),
        "told": told_of(group, notice.kind, shown, workspace=context.settings.workspace, now=now),
        "status": _WAITING,
        "n_attempts": 0,
        "created_at": now,
        "due_at": now,
    }
    insert = context.database.insert(alert_notices).values(**row)
    once = insert.on_conflict_do_nothing(index_elements=["group_pk", "receiver", "kind", "n_alerts"])
    return connection.execute(once.returning(alert_notices.c.pk)).first() is not None


def claim(context: Context, group_id: str, pause_s: Sequence[float]) -> list[Any]:
    """Claim the attempts of a group's notices that are due: of each receiver the oldest that waits.

    Parameters
    ----------
    pause_s
        Until the next attempt, by the number of those made; the last one for all that follow.
    """
    now = context.clock.now()
    with context.database.write() as connection:
        rows = connection.execute(_waiting(group_id).order_by(alert_notices.c.pk)).all()
        oldest = list({row.receiver: row for row in reversed(rows)}.values())
        return [row for row in oldest if row.due_at <= now and _claim_one(connection, row, pause_s, now)]


def _claim_one(connection: sa.Connection, row: Any, pause_s: Sequence[float], now: datetime) -> bool:
    wait = pause_s[min(row.n_attempts, len(pause_s) - 1)]
    claimed = connection.execute(
        sa.update(alert_notices)
        .where(alert_notices.c.pk == row.pk, alert_notices.c.n_attempts == row.n_attempts)
        .where(alert_notices.c.status == _WAITING)
        .values(n_attempts=row.n_attempts + 1, due_at=now + timedelta(seconds=wait))
    )
    return claimed.rowcount == 1


def settle(context: Context, notice_pk: int, status: NoticeStatus, error: str | None) -> None:
    """Write down how an attempt went."""
    ended_at = None if status is NoticeStatus.WAITING else context.clock.now()
    with context.database.write() as connection:
        connection.execute(
            sa.update(alert_notices)
            .where(alert_notices.c.pk == notice_pk, alert_notices.c.status == _WAITING)
            .values(status=str(status), error=error, ended_at=ended_at)
        )


def next_in(context: Context, group_id: str) -> float | None:
    """Give the seconds until a notice of a group is due; None when all have ended."""
    with context.database.read() as connection:
        rows = connection.execute(_waiting(group_id)).all()
    if not rows:
        return None
    first = min(row.due_at for row in rows)
    return max(0.0, float((first - context.clock.now()).total_seconds()))


def _waiting(group_id: str) -> sa.Select[Any]:
    c = alert_notices.c
    return (
        sa.select(c.pk, c.id, c.receiver, c.kind, c.subject, c.told, c.n_attempts, c.created_at, c.due_at)
        .join(alert_groups, alert_groups.c.pk == c.group_pk)
        .where(alert_groups.c.id == group_id, c.status == _WAITING)
    )


_OPEN = (
    sa.select(alert_groups, projects.c.name.label("project"))
    .join(projects, projects.c.pk == alert_groups.c.project_pk)
    .where(alert_groups.c.closed_at.is_(None))
    .order_by(alert_groups.c.pk)
    .limit(_AT_ONCE)
)
