"""Have endpoints looked at whenever there is something new to see, and receivers told of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, Workflow, workflow
from noria.core.serialisation import to_builtins
from noria.data.permissions import READ_DATA
from noria.data.quality.settings import DataSection
from noria.monitoring.alerts.ledger import advance
from noria.monitoring.alerts.log_watch import watch_logs
from noria.monitoring.alerts.standing import WATCH_EVERY_S, watch_servers
from noria.monitoring.alerts.unwatched import WATCH_EVERY_S as WATCH_MONITORS_EVERY_S
from noria.monitoring.alerts.unwatched import look_key, looks_under_way, watch_monitors
from noria.monitoring.entities import Cutting, MonitorSection
from noria.monitoring.events import ALERT_NOTICED
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.receivers.sending import send_due
from noria.monitoring.service import Monitors
from noria.monitoring.tables import monitors
from noria.monitoring.windows.cutting import due_at, n_wanted
from noria.pipelines.job_entities import NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.captures import MAX_COUNTED
from noria.serving.locate import any_endpoint
from noria.serving.permissions import READ_CAPTURES, READ_ENDPOINTS
from noria.serving.tables import capture_chunks, endpoints, labels

LOOK_EVERY_S = 0.5
"""It costs two questions for all endpoints, unless there is something new."""

PAUSE = timedelta(seconds=5)
"""Between two looks at rows alone: a look costs as much as thousands of rows that are counted in it."""

PAUSE_FOR_LABELS = timedelta(seconds=1)
"""Between two looks at labels, which may come one by one."""

FOLD_EVERY = timedelta(minutes=1)
"""Rows of a window by time are counted at least so often, however few they are."""

PLAN_EVERY_S = 1.0
TELL = "monitoring.tell"

_RETRY_AFTER_S = 10
_NEEDED = (READ_MONITORS, WRITE_MONITORS, READ_ENDPOINTS, READ_CAPTURES, READ_DATA)


class _Standing(NamedTuple):
    """Where an endpoint and its monitor stand.

    Attributes
    ----------
    last_position, last_label
        Of what was captured; None where there is nothing.
    id
        Of the monitor; None where there is none yet.
    """

    project: str
    endpoint: str
    last_position: int | None
    last_label: int | None
    id: str | None
    position: int
    label_position: int
    looked_at: datetime | None
    cutting: Cutting | None


def ask_for_looks(context: Context) -> None:
    """Submit a job for each endpoint that has a full window or new labels, unless one is waiting or running."""
    with context.database.read() as connection:
        if not any_endpoint(connection):
            return
        standings = [_Standing(*row) for row in connection.execute(_STANDINGS)]
        under_way = looks_under_way(connection)
    settings = context.settings.section("monitors", MonitorSection)
    for found in standings:
        standing = found if found.id is not None else _watched(context, found)
        if standing.id not in under_way and _has_news(standing, settings, context.clock.now()):
            _submit(context, standing, settings)


def _watched(context: Context, standing: _Standing) -> _Standing:
    found = context.service(Monitors).watch(standing.project, standing.endpoint)
    return standing._replace(id=found.id, position=found.position, label_position=found.label_position)


def _has_news(standing: _Standing, settings: MonitorSection, now: datetime) -> bool:
    looked_at, due = standing.looked_at, due_at(standing.cutting)
    rested = None if looked_at is None or looked_at > now else now - looked_at
    if (standing.last_label or 0) > standing.label_position:
        return rested is None or rested >= PAUSE_FOR_LABELS
    if rested is not None and rested < PAUSE:
        return False
    # Shadows have positions among these rows, too: a look that they alone bring on is a short one.
    n_rows = max(0, (standing.last_position or 0) - standing.position)
    if n_rows >= n_wanted(standing.cutting, settings, most=MAX_COUNTED):
        return True
    if settings.window_s is None:
        return False
    return (due is not None and now >= due) or (n_rows > 0 and (rested is None or rested >= FOLD_EVERY))


def _submit(context: Context, standing: _Standing, settings: MonitorSection) -> None:
    # The same key while the monitor stands where it stands; a new one after a while, so that a look that failed for
    # good is not the last one.
    period = int(context.clock.now().timestamp()) // _RETRY_AFTER_S
    key = look_key(str(standing.id), standing.position, standing.label_position, period)
    args = {
        "project": standing.project,
        "endpoint": standing.endpoint,
        "settings": to_builtins(settings),
        "checks": to_builtins(context.settings.section("data", DataSection).checks),
    }
    job = NewJob(
        entry="noria.monitoring.evaluate:look",
        args=args,
        key=key,
        max_attempts=1,
        permissions=[p.name for p in _NEEDED],
        routine=True,
    )
    context.service(Jobs).submit(standing.project, job)


_STANDINGS = (
    sa.select(
        projects.c.name,
        endpoints.c.name,
        sa.select(sa.func.max(capture_chunks.c.last_position))
        .where(capture_chunks.c.endpoint_pk == endpoints.c.pk)
        .scalar_subquery(),
        sa.select(sa.func.max(labels.c.pk)).where(labels.c.endpoint_pk == endpoints.c.pk).scalar_subquery(),
        monitors.c.id,
        monitors.c.position,
        monitors.c.label_position,
        monitors.c.looked_at,
        monitors.c.cutting,
    )
    .join(projects, projects.c.pk == endpoints.c.project_pk)
    .outerjoin(
        monitors,
        sa.and_(monitors.c.project_pk == endpoints.c.project_pk, monitors.c.endpoint == endpoints.c.name),
    )
    .where(endpoints.c.deleted_at.is_(None))
)


@workflow(TELL)
def tell(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Send the notices of a group of alerts, and try again where that may help."""
    group = str(event["payload"]["group"])
    wait_s: float | None = 0.0
    while wait_s is not None:
        if wait_s > 0:
            steps.sleep(wait_s)
        wait_s = steps.run("send", lambda: send_due(app, group))
    return {"group": group}


WORKFLOWS: list[Workflow] = [tell]
TICKS: list[Tick] = []
REACTIONS: list[Reaction] = [Reaction("monitoring.notices", frozenset({str(ALERT_NOTICED)}), TELL)]
CHORES: list[Chore] = [
    Chore("monitoring.looks", LOOK_EVERY_S, ask_for_looks),
    Chore("monitoring.servers", WATCH_EVERY_S, watch_servers),
    Chore("monitoring.logs", WATCH_EVERY_S, watch_logs),
    Chore("monitoring.monitors", WATCH_MONITORS_EVERY_S, watch_monitors),
    Chore("monitoring.alerts", PLAN_EVERY_S, advance),
]
