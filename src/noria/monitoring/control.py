"""Have endpoints looked at whenever there is something new to see, and receivers told of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from noria.access.projects import Projects
from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, Workflow, workflow
from noria.core.serialisation import to_builtins
from noria.data.permissions import READ_DATA
from noria.data.quality.settings import DataSection
from noria.monitoring.alerts.ledger import advance
from noria.monitoring.alerts.log_watch import watch_logs
from noria.monitoring.alerts.standing import WATCH_EVERY_S, watch_servers
from noria.monitoring.entities import Monitor, MonitorSection
from noria.monitoring.events import ALERT_NOTICED
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.receivers.sending import send_due
from noria.monitoring.service import Monitors
from noria.monitoring.windows.cutting import due_at, n_wanted
from noria.pipelines.job_entities import NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.captures import MAX_COUNTED, Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Endpoint
from noria.serving.locate import any_endpoint
from noria.serving.permissions import READ_CAPTURES, READ_ENDPOINTS

LOOK_EVERY_S = 0.5
"""A look costs two counts of an endpoint unless there is something new."""

PAUSE = timedelta(seconds=2)
"""Between two looks at rows alone: a look costs as much as thousands of rows that are counted in it."""

FOLD_EVERY = timedelta(minutes=1)
"""Rows of a window by time are counted at least so often, however few they are."""

PLAN_EVERY_S = 1.0
TELL = "monitoring.tell"

_RETRY_AFTER_S = 10
_NEEDED = (READ_MONITORS, WRITE_MONITORS, READ_ENDPOINTS, READ_CAPTURES, READ_DATA)


def ask_for_looks(context: Context) -> None:
    """Submit a job for each endpoint that has a full window or new labels."""
    with context.database.read() as connection:
        if not any_endpoint(connection):
            return
    settings = context.settings.section("monitors", MonitorSection)
    for project in context.service(Projects).list(limit=1000).items:
        for endpoint in context.service(Endpoints).list(project.name, limit=1000).items:
            monitor = context.service(Monitors).watch(project.name, endpoint.name)
            if _has_news(context, endpoint, monitor, settings):
                _submit(context, endpoint, monitor, settings)


def _has_news(context: Context, endpoint: Endpoint, monitor: Monitor, settings: MonitorSection) -> bool:
    head = context.service(Captures).head(endpoint.project, endpoint.name, after=monitor.position)
    if head.label_position > monitor.label_position:
        return True
    now, due = context.clock.now(), due_at(monitor.cutting)
    if monitor.looked_at is not None and now - monitor.looked_at < PAUSE:
        return False
    if head.n_rows >= n_wanted(monitor.cutting, settings, most=MAX_COUNTED):
        return True
    if settings.window_s is None:
        return False
    waited = monitor.looked_at is None or now - monitor.looked_at >= FOLD_EVERY
    return (due is not None and now >= due) or (head.n_rows > 0 and waited)


def _submit(context: Context, endpoint: Endpoint, monitor: Monitor, settings: MonitorSection) -> None:
    # The same key while the monitor stands where it stands, so that looks do not pile up behind a slow worker; a new
    # one after a while, so that a look that failed for good is not the last one.
    period = int(context.clock.now().timestamp()) // _RETRY_AFTER_S
    key = f"look:{monitor.id}:{monitor.position}:{monitor.label_position}:{period}"
    args = {
        "project": endpoint.project,
        "endpoint": endpoint.name,
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
    context.service(Jobs).submit(endpoint.project, job)


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
    Chore("monitoring.alerts", PLAN_EVERY_S, advance),
]
