"""Operations on groups of alerts, silences and receivers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import NotFound
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.monitoring.alerts.entities import (
    AlertGroup,
    AlertGroupPage,
    NewSilence,
    Notice,
    NoticeKind,
    NoticeStatus,
    Silence,
    SilenceList,
)
from noria.monitoring.alerts.ledger import read_group, read_silence, silences_of
from noria.monitoring.alerts.planning import is_silenced
from noria.monitoring.alerts.tables import alert_groups, alert_notices, alert_silences
from noria.monitoring.events import SILENCE_BEGAN, SILENCE_ENDED
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.receivers.entities import (
    AlertSection,
    Receiver,
    ReceiverList,
    ReceiverSecret,
    ReceiverStanding,
    Trial,
    TrialOutcomes,
    unknown_receiver,
)
from noria.monitoring.tables import monitors
from noria.serving.locate import endpoint_row


class Alerts(Service):
    """What becomes of alerts: their groups, silences, and who is told."""

    @operation("GET", "/projects/{project}/alert-groups", needs=READ_MONITORS)
    def groups(
        self, project: str, open_only: bool = False, limit: int = 20, before: str | None = None
    ) -> AlertGroupPage:
        """List groups of alerts, newest first, each with its alerts and what receivers were told."""
        bound = max(1, min(limit, 200))
        now = self.context.clock.now()
        with self.context.database.read() as connection:
            pk = project_pk(connection, project)
            query = (
                sa.select(alert_groups, sa.literal(project).label("project"))
                .where(alert_groups.c.project_pk == pk)
                .order_by(alert_groups.c.id.desc())
                .limit(bound + 1)
            )
            if open_only:
                query = query.where(alert_groups.c.closed_at.is_(None))
            if before is not None:
                query = query.where(alert_groups.c.id < before)
            rows = connection.execute(query).mappings().all()
            quiet = silences_of(connection, pk, project)
            items = [_group(connection, row, quiet, now) for row in rows[:bound]]
        return AlertGroupPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("POST", "/projects/{project}/silences", needs=WRITE_MONITORS)
    def silence(self, project: str, new: NewSilence) -> Silence:
        """Tell nobody of some alerts for a time; they are raised and shown as ever.

        Raises
        ------
        NotFound
            If there is no such endpoint; the hint has the near name.
        """
        now = self.context.clock.now()
        row = {
            "id": new_id(),
            "endpoint": new.endpoint,
            "kind": None if new.kind is None else str(new.kind),
            "why": new.why,
            "created_by": self.context.principal.name,
            "created_at": now,
            "ends_at": now + timedelta(seconds=new.for_s),
        }
        with self.context.database.write() as connection:
            pk = project_pk(connection, project)
            if new.endpoint is not None and not _is_watched(connection, pk, new.endpoint):
                endpoint_row(connection, project, new.endpoint)
            connection.execute(sa.insert(alert_silences).values(project_pk=pk, **row))
            made = read_silence(project, row)
            self._emit(connection, SILENCE_BEGAN, made)
        return made

    @operation("GET", "/projects/{project}/silences", needs=READ_MONITORS)
    def silences(self, project: str, active_only: bool = True) -> SilenceList:
        """List silences, those that end last first."""
        now = self.context.clock.now()
        with self.context.database.read() as connection:
            found = silences_of(connection, project_pk(connection, project), project)
        return SilenceList(items=[each for each in found if not active_only or each.ends_at > now])

    @operation("POST", "/projects/{project}/silences/{silence_id}/end", needs=WRITE_MONITORS, status=200)
    def unsilence(self, project: str, silence_id: str) -> Silence:
        """End a silence now: what still stands open is told; ending one that is over changes nothing."""
        now = self.context.clock.now()
        with self.context.database.write() as connection:
            mine = (alert_silences.c.project_pk == project_pk(connection, project)) & (
                alert_silences.c.id == silence_id
            )
            ended = connection.execute(
                sa.update(alert_silences).where(mine, alert_silences.c.ends_at > now).values(ends_at=now)
            )
            row = connection.execute(sa.select(alert_silences).where(mine)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no silence `{silence_id}`", hint="See `noria monitors silences`")
            found = read_silence(project, row)
            if ended.rowcount == 1:
                self._emit(connection, SILENCE_ENDED, found)
        return found

    @operation("GET", "/alert-receivers", needs=READ_MONITORS)
    def receivers(self) -> ReceiverList:
        """List who is told of alerts, and how the notices to each fare."""
        found = self._settings().receivers
        with self.context.database.read() as connection:
            return ReceiverList(
                items=[_standing(connection, name, one) for name, one in sorted(found.items())]
            )

    @operation("POST", "/alert-receivers/trials", needs=WRITE_MONITORS, status=200)
    def test(self, trial: Trial) -> TrialOutcomes:
        """Send a trial message to each receiver, or to one, and tell how that went."""
        from noria.monitoring.receivers.sending import try_out

        found = self._settings().receivers
        if trial.receiver is not None:
            found = {trial.receiver: self._receiver(trial.receiver)}
        return TrialOutcomes(items=[try_out(self.context, name, one) for name, one in sorted(found.items())])

    @operation("GET", "/alert-receivers/{name}/secret", needs=WRITE_MONITORS)
    def secret(self, name: str) -> ReceiverSecret:
        """Give what the calls of a webhook are signed with."""
        from noria.monitoring.receivers.sending import secret_of

        self._receiver(name)
        return ReceiverSecret(name=name, secret=secret_of(self.context, name))

    def _settings(self) -> AlertSection:
        return self.context.settings.section("alerts", AlertSection)

    def _receiver(self, name: str) -> Receiver:
        known = self._settings().receivers
        if name not in known:
            raise unknown_receiver(name, known)
        return known[name]

    def _emit(self, connection: sa.Connection, kind: EventType, silence: Silence) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=f"endpoint:{silence.endpoint}" if silence.endpoint else f"project:{silence.project}",
            project=silence.project,
            payload={
                "silence": silence.id,
                "kind": silence.kind,
                "ends_at": silence.ends_at.isoformat(),
                "why": silence.why,
            },
        )


def _group(connection: sa.Connection, row: Any, quiet: Sequence[Silence], now: datetime) -> AlertGroup:
    found = read_group(connection, row)
    return AlertGroup(
        id=found.id,
        project=found.project,
        cause=found.cause,
        opened_at=found.opened_at,
        closed_at=row["closed_at"],
        alerts=list(found.alerts),
        is_silenced=is_silenced(found.alerts, quiet, now),
        notices=_notices(connection, found.pk),
    )


def _notices(connection: sa.Connection, group_pk: int) -> list[Notice]:
    columns = [alert_notices.c[name] for name in Notice.__struct_fields__]
    query = sa.select(*columns).where(alert_notices.c.group_pk == group_pk).order_by(alert_notices.c.pk)
    return [
        Notice(**{**row, "kind": NoticeKind(row["kind"]), "status": NoticeStatus(row["status"])})
        for row in connection.execute(query).mappings()
    ]


def _is_watched(connection: sa.Connection, pk: int, endpoint: str) -> bool:
    query = sa.select(monitors.c.pk).where(monitors.c.project_pk == pk, monitors.c.endpoint == endpoint)
    return connection.execute(query.limit(1)).first() is not None


def _standing(connection: sa.Connection, name: str, receiver: Receiver) -> ReceiverStanding:
    from noria.monitoring.receivers.sending import place_of

    c = alert_notices.c
    query = sa.select(c.status, sa.func.count(), sa.func.max(c.ended_at)).where(c.receiver == name)
    counts = {status: (n, at) for status, n, at in connection.execute(query.group_by(c.status))}
    newest = sa.select(c.error).where(c.receiver == name, c.error.is_not(None)).order_by(c.pk.desc()).limit(1)
    n_sent, sent_at = counts.get(str(NoticeStatus.SENT), (0, None))
    return ReceiverStanding(
        name=name,
        form=receiver.sent_as,
        place=place_of(receiver),
        kinds=list(receiver.kinds),
        projects=list(receiver.projects),
        after_s=receiver.after_s,
        n_sent=n_sent,
        n_waiting=counts.get(str(NoticeStatus.WAITING), (0, None))[0],
        n_failed=counts.get(str(NoticeStatus.FAILED), (0, None))[0],
        sent_at=sent_at,
        last_error=connection.execute(newest).scalar_one_or_none(),
    )
