"""Alerts about the model servers themselves: an endpoint that lost its last one, and one whose disk is full.

What a server says of its own disk is certain. That none answers is known from silence alone, so it has to last, and to
be seen all the while: a control server that was away itself begins to count anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.monitoring import sentences
from noria.monitoring.alerts.raising import Raising
from noria.monitoring.alerts.tables import alert_doubts
from noria.monitoring.entities import AlertKind, NewAlert
from noria.monitoring.receivers.entities import AlertSection
from noria.monitoring.tables import alerts
from noria.serving.entities import Share
from noria.serving.plans import AppliedPlan, ServerStanding
from noria.serving.rollouts.sight import SERVER_ALIVE_S
from noria.serving.tables import endpoints, model_servers

WATCH_EVERY_S = 5.0

_PAUSE = timedelta(seconds=6 * WATCH_EVERY_S)
"""Looks farther apart than this are not one stretch of time."""

_FORGOTTEN_AFTER = timedelta(hours=1)
_MEBIBYTE = 1 << 20

Place = tuple[str, str]
"""Project and endpoint."""


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    url: str | None
    seen_at: datetime
    endpoints: Sequence[AppliedPlan]
    n_dropped: int
    standing: ServerStanding | None


def watch_servers(context: Context) -> None:
    """Raise and close alerts about model servers, as they stand now."""
    now = context.clock.now()
    with context.database.read() as connection:
        servers = [_Server(*row) for row in connection.execute(_SERVERS)]
        opened = {(row.name, row.endpoint, row.kind) for row in connection.execute(_OPENED)}
        if not servers and not opened:
            return
        found = {(row.project, row.name): row for row in connection.execute(_ENDPOINTS)}
        doubts = {(row.name, row.endpoint): row for row in connection.execute(_DOUBTS)}
    alive = [server for server in servers if now - server.seen_at < timedelta(seconds=SERVER_ALIVE_S)]
    servers = _without_replaced(context, servers, alive, now)
    full = _by_place(server for server in alive if server.standing is not None and server.standing.disk_full)
    lost = _lost(servers, alive, found)
    due = _doubted(context, lost, doubts, found, now)
    wanted = {(*place, str(AlertKind.SERVER)): lost[place] for place in due}
    wanted |= {(*place, str(AlertKind.DISK)): server for place, server in full.items() if place in found}
    # While it is doubted whether it is back or still away, an open alert stays as it is.
    standing = {(*place, str(AlertKind.SERVER)) for place in lost}
    _bring_up(context, found, wanted, (wanted.keys() | standing), opened)


def _without_replaced(
    context: Context, servers: list[_Server], alive: Sequence[_Server], now: datetime
) -> list[_Server]:
    """Forget servers that died long ago and whose endpoints others answer for: those may leave in order one day."""
    answered = _by_place(alive)
    replaced = {
        server.name
        for server in servers
        if now - server.seen_at > _FORGOTTEN_AFTER
        and all((plan.project, plan.endpoint) in answered for plan in server.endpoints)
    }
    if replaced:
        with context.database.write() as connection:
            connection.execute(sa.delete(model_servers).where(model_servers.c.server.in_(replaced)))
    return [server for server in servers if server.name not in replaced]


def _by_place(servers: Iterable[_Server]) -> dict[Place, _Server]:
    return {(plan.project, plan.endpoint): server for server in servers for plan in server.endpoints}


def _lost(
    servers: Sequence[_Server], alive: Sequence[_Server], found: dict[Place, Any]
) -> dict[Place, _Server]:
    """Give endpoints that nobody answers for, with the server that did last and did not say that it leaves."""
    answered = _by_place(alive)
    once = _by_place(sorted(servers, key=lambda server: server.seen_at))
    return {
        place: server
        for place, server in once.items()
        if place in found and place not in answered and server.seen_at > found[place].created_at
    }


def _doubted(
    context: Context,
    lost: dict[Place, _Server],
    doubts: dict[Place, Any],
    found: dict[Place, Any],
    now: datetime,
) -> list[Place]:
    """Keep the books of doubts, and give those that have lasted."""
    gone = [place for place in doubts if place not in lost]
    if not lost and not gone:
        return []
    patience = timedelta(seconds=context.settings.section("alerts", AlertSection).lost_after_s)
    due = []
    with context.database.write() as connection:
        for place in gone:
            connection.execute(sa.delete(alert_doubts).where(_doubt(doubts[place].project_pk, place[1])))
        for place in lost:
            doubt, pk = doubts.get(place), found[place].project_pk
            is_new = doubt is None or not timedelta(0) <= now - doubt.last_at <= _PAUSE
            first_at = now if doubt is None or is_new else doubt.first_at
            connection.execute(sa.delete(alert_doubts).where(_doubt(pk, place[1])))
            row = {"project_pk": pk, "endpoint": place[1], "kind": str(AlertKind.SERVER)}
            connection.execute(sa.insert(alert_doubts).values(first_at=first_at, last_at=now, **row))
            if now - first_at >= patience:
                due.append(place)
    return due


def _doubt(project_pk: int, endpoint: str) -> sa.ColumnElement[bool]:
    return sa.and_(alert_doubts.c.project_pk == project_pk, alert_doubts.c.endpoint == endpoint)


def _bring_up(
    context: Context,
    found: dict[Place, Any],
    wanted: dict[tuple[str, str, str], _Server],
    standing: set[tuple[str, str, str]],
    opened: set[tuple[str, str, str]],
) -> None:
    """Raise what is wanted and not open, and close what is open and no longer stands."""
    new, over = wanted.keys() - opened, opened - standing
    if not new and not over:
        return
    with context.database.write() as connection:
        for project, endpoint, kind in sorted(new):
            server = wanted[project, endpoint, kind]
            alert = _alert(AlertKind(kind), found[project, endpoint].shares, server, context.clock.now())
            cause = f"model_server:{server.url or server.name}"
            Raising(context, connection, project).start(endpoint, alert, cause=cause)
        for project, endpoint, kind in sorted(over):
            why = _why_over(AlertKind(kind), (project, endpoint) in found)
            Raising(context, connection, project).close(endpoint, AlertKind(kind), why)


def _why_over(kind: AlertKind, exists: bool) -> str:
    if not exists:
        return sentences.ENDPOINT_GONE
    return sentences.SERVER_BACK if kind is AlertKind.SERVER else sentences.DISK_BACK


def _alert(kind: AlertKind, shares: Sequence[Share], server: _Server, now: datetime) -> NewAlert:
    where = server.url or server.name
    if kind is AlertKind.SERVER:
        silent_s = (now - server.seen_at).total_seconds()
        figures = {"silent_s": silent_s}
        sentence = sentences.NO_SERVER % {"server": where, "seconds": f"{silent_s:.0f}"}
        since = server.seen_at
    else:
        standing = server.standing or ServerStanding()
        figures = {"waiting_bytes": float(standing.waiting_bytes), "n_dropped": float(server.n_dropped)}
        sentence = sentences.DISK_FULL % {
            "server": where,
            "dropped": server.n_dropped,
            "waiting": f"{standing.waiting_bytes / _MEBIBYTE:.1f}",
        }
        since = now
    version = max(shares, key=lambda share: share.weight).version if shares else 0
    return NewAlert(
        kind=kind,
        version=version,
        figures=figures,
        sentence=sentence,
        onset_position=0,
        last_position=0,
        since=since,
    )


_c = model_servers.c
_SERVERS = sa.select(_c.server, _c.url, _c.seen_at, _c.endpoints, _c.n_dropped, _c.standing)
_KINDS = (str(AlertKind.SERVER), str(AlertKind.DISK))
_OPENED = (
    sa.select(projects.c.name, alerts.c.endpoint, alerts.c.kind)
    .join(projects, projects.c.pk == alerts.c.project_pk)
    .where(alerts.c.closed_at.is_(None), alerts.c.kind.in_(_KINDS))
)
_ENDPOINTS = (
    sa.select(
        projects.c.name.label("project"),
        endpoints.c.project_pk,
        endpoints.c.name,
        endpoints.c.shares,
        endpoints.c.created_at,
    )
    .join(projects, projects.c.pk == endpoints.c.project_pk)
    .where(endpoints.c.deleted_at.is_(None))
)
_DOUBTS = sa.select(alert_doubts, projects.c.name).join(projects, projects.c.pk == alert_doubts.c.project_pk)
