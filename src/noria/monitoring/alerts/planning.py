"""Who is told what of a group of alerts, and when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.monitoring.alerts.entities import NoticeKind, Silence
from noria.monitoring.entities import Alert
from noria.monitoring.receivers.entities import AlertSection, Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group that is open, with its alerts in the order in which they were raised."""

    pk: int
    id: str
    project: str
    cause: str
    opened_at: datetime
    n_alerts: int
    alerts: Sequence[Alert]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a receiver was told of a group already: of which alerts, and when last."""

    alert_ids: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A notice that is to be written."""

    receiver: str
    kind: NoticeKind
    alerts: Sequence[Alert]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done about a group now; `settled` when it is over."""

    notices: Sequence[Planned]
    settled: bool


def plan(
    group: Group,
    *,
    past: Mapping[str, Past],
    silences: Sequence[Silence],
    settings: AlertSection,
    now: datetime,
) -> Plan:
    """Plan what is told of a group.

    Parameters
    ----------
    past
        By name of the receiver; those that were told nothing are left out.
    """
    settled = _is_settled(group.alerts, settings, now)
    listening = {name: one for name, one in settings.receivers.items() if _listens(one, group.project)}
    if settled:
        told = [name for name in listening if name in past]
        return Plan(
            notices=[
                Planned(
                    receiver=name,
                    kind=NoticeKind.RESOLVED,
                    alerts=[alert for alert in group.alerts if _wants(listening[name], alert)],
                )
                for name in told
            ],
            settled=True,
        )
    audible = [
        alert for alert in group.alerts if alert.closed_at is None and not _quiet(alert, silences, now)
    ]
    found = (
        _due(
            name,
            one,
            group,
            [alert for alert in audible if _wants(one, alert)],
            past.get(name),
            settings,
            now,
        )
        for name, one in listening.items()
    )
    return Plan(notices=[notice for notice in found if notice is not None], settled=False)


def is_silenced(alerts: Iterable[Alert], silences: Sequence[Silence], now: datetime) -> bool:
    """Tell whether silences cover every alert that is open, and there is one."""
    opened = [alert for alert in alerts if alert.closed_at is None]
    return bool(opened) and all(_quiet(alert, silences, now) for alert in opened)


def _due(
    name: str,
    receiver: Receiver,
    group: Group,
    audible: Sequence[Alert],
    past: Past | None,
    settings: AlertSection,
    now: datetime,
) -> Planned | None:
    if past is None:
        waits_s = max(settings.wait_s, receiver.after_s)
        if audible and now >= group.opened_at + timedelta(seconds=waits_s):
            return Planned(receiver=name, kind=NoticeKind.OPENED, alerts=audible)
        return None
    # One that was over and came back is no news: the receiver knows of the trouble.
    known = {
        (alert.endpoint, alert.kind, alert.version) for alert in group.alerts if alert.id in past.alert_ids
    }
    fresh = [alert for alert in audible if (alert.endpoint, alert.kind, alert.version) not in known]
    if fresh and now >= past.at + timedelta(seconds=settings.again_s):
        return Planned(receiver=name, kind=NoticeKind.MORE, alerts=fresh)
    return None


def _is_settled(alerts: Sequence[Alert], settings: AlertSection, now: datetime) -> bool:
    closed = [alert.closed_at for alert in alerts if alert.closed_at is not None]
    if len(closed) < len(alerts) or not closed:
        return False
    return now >= max(closed) + timedelta(seconds=settings.settle_s)


def _listens(receiver: Receiver, project: str) -> bool:
    return not receiver.projects or project in receiver.projects


def _wants(receiver: Receiver, alert: Alert) -> bool:
    return not receiver.kinds or alert.kind in receiver.kinds


def _quiet(alert: Alert, silences: Sequence[Silence], now: datetime) -> bool:
    return any(silence.covers(alert.endpoint, alert.kind, now) for silence in silences)
