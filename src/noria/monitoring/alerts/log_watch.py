"""Alerts about what the model servers of an endpoint log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.monitoring import sentences
from noria.monitoring.alerts.raising import Raising
from noria.monitoring.entities import AlertKind, MonitorSection, NewAlert
from noria.monitoring.log_rates import CALM_WINDOWS, LogRate, is_calm, rate_of
from noria.monitoring.tables import alerts
from noria.serving.service_logs import WINDOW, LogWindow, log_windows, window_of
from noria.serving.tables import endpoint_logs, endpoints

_KIND: Final = str(AlertKind.LOGS)


def watch_logs(context: Context) -> None:
    """Raise and close alerts about logged errors, as they stand now."""
    tolerated = context.settings.section("monitors", MonitorSection).tolerated_log_errors
    now = context.clock.now()
    with context.database.read() as connection:
        # The window before counts too: a report may come in just as the next begins.
        loud = {
            (row.project, row.name): row
            for row in connection.execute(_LOUD, {"tolerated": tolerated, "since": window_of(now) - WINDOW})
        }
        opened = {(row.project, row.name): row for row in connection.execute(_OPENED)}
        rates = {
            place: _rate(log_windows(connection, loud[place].pk), tolerated) for place in loud.keys() - opened
        }
        over = {
            place: why
            for place, row in opened.items()
            if (why := _why_over(connection, row, now)) is not None
        }
    raised = {place: found for place, found in rates.items() if found is not None}
    if not raised and not over:
        return
    with context.database.write() as connection:
        for place, (rate, window) in sorted(raised.items(), key=lambda each: each[0]):
            alert = _alert(loud[place].shares, rate, window)
            Raising(context, connection, place[0]).start(place[1], alert)
        for place, why in sorted(over.items()):
            Raising(context, connection, place[0]).close(place[1], AlertKind.LOGS, why)


def _rate(windows: Sequence[LogWindow], tolerated: int) -> tuple[LogRate, LogWindow] | None:
    """Give the louder of the two newest windows, if it alarms."""
    found = [
        (rate_of(window, windows[place + 1 :], tolerated=tolerated), window)
        for place, window in enumerate(windows[:2])
    ]
    alarming = [each for each in found if each[0].alarms]
    return max(alarming, key=lambda each: each[0].n_errors, default=None)


def _why_over(connection: sa.Connection, row: Any, now: datetime) -> str | None:
    if row.pk is None:
        return sentences.ENDPOINT_GONE
    newest = log_windows(connection, row.pk, limit=CALM_WINDOWS + 1)
    whole = [each for each in newest if each.starts_at < window_of(now)]
    since = [each for each in whole if each.starts_at >= row.opened_at]
    bound = row.figures.get("bound", 0.0)
    if not is_calm(since, bound):
        return None
    return sentences.FEW_LOGGED % {"bound": f"{bound:.0f}", "windows": CALM_WINDOWS}


def _alert(shares: Sequence[Any], rate: LogRate, window: LogWindow) -> NewAlert:
    line = window.line
    facts = {
        "n": rate.n_errors,
        "tolerated": rate.tolerated,
        "usual": rate.usual,
        "windows": rate.n_windows,
        "line": line.text.replace("`", "'") if line is not None else "…",
    }
    said = sentences.LOGGED if rate.usual is None else sentences.LOGGED_MORE
    figures = {"n": float(rate.n_errors), "bound": float(rate.bound), "n_warnings": float(window.n_warnings)}
    return NewAlert(
        kind=AlertKind.LOGS,
        version=max(shares, key=lambda share: share.weight).version if shares else 0,
        figures=figures,
        sentence=said % facts,
        onset_position=0,
        last_position=0,
        since=window.starts_at,
    )


_LOUD = (
    sa.select(projects.c.name.label("project"), endpoints.c.name, endpoints.c.pk, endpoints.c.shares)
    .join(projects, projects.c.pk == endpoints.c.project_pk)
    .join(endpoint_logs, endpoint_logs.c.endpoint_pk == endpoints.c.pk)
    .where(
        endpoints.c.deleted_at.is_(None),
        endpoint_logs.c.starts_at >= sa.bindparam("since", type_=endpoint_logs.c.starts_at.type),
        endpoint_logs.c.n_errors > sa.bindparam("tolerated"),
    )
    .distinct()
)
_OPENED = (
    sa.select(
        projects.c.name.label("project"),
        alerts.c.endpoint.label("name"),
        alerts.c.opened_at,
        alerts.c.figures,
        endpoints.c.pk,
    )
    .join(projects, projects.c.pk == alerts.c.project_pk)
    .outerjoin(
        endpoints,
        sa.and_(
            endpoints.c.project_pk == alerts.c.project_pk,
            endpoints.c.name == alerts.c.endpoint,
            endpoints.c.deleted_at.is_(None),
        ),
    )
    .where(alerts.c.closed_at.is_(None), alerts.c.kind == _KIND)
)
