"""The overview: one wheel per model, what is wrong, and what happened lately."""

from __future__ import annotations

import contextlib

from noria.access.permissions import LIST_PROJECTS, READ_AUDIT, READ_PROJECTS
from noria.access.projects import Projects
from noria.catalog.permissions import READ_RECORDS
from noria.core.errors import Forbidden, NotFound
from noria.core.events.log import EventLog
from noria.core.web.drawings import draw_wheel
from noria.core.web.formats import clipped
from noria.core.web.pages import Page, Visit
from noria.core.web.urls import OVERVIEW_PATH, PROJECT_PATH
from noria.data.permissions import READ_DATA
from noria.decisions import course_words
from noria.monitoring.entities import Alert
from noria.monitoring.permissions import READ_MONITORS
from noria.monitoring.sentences import retelling
from noria.monitoring.service import Monitors
from noria.registry.permissions import READ_MODELS
from noria.registry.service import Models
from noria.server.overview import AlertRow, OverviewContext, RunningRow
from noria.server.told_events import TYPES, EventRow, rollouts_of, runs_of, tell
from noria.server.wheels import WheelMaker
from noria.serving.permissions import READ_CAPTURES, READ_ENDPOINTS
from noria.serving.service import Rollouts
from noria.tracking.entities import RunStatus
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_cells import Wanted
from noria.tracking.run_tables import RunTables
from noria.tracking.service import Runs

TEMPLATE = "noria.server/overview.html"
MODELS_PER_PAGE = 10

_READS = (READ_DATA, READ_RUNS, READ_MODELS, READ_ENDPOINTS, READ_CAPTURES, READ_MONITORS, READ_RECORDS)
_STATIONS = 6
_PROJECTS = 50
_RUNNING = 6
_ALERTS = 6
_EVENTS = 14
_EVENTS_READ = 24
"""Some of which tell of one thing."""


def overview(visit: Visit) -> OverviewContext:
    """Gather the overview of the project in the path, or of the first one that the reader may see."""
    project, projects = _project(visit)
    _check_reads(visit, project)
    after = visit.parameters.get("after", "")
    page = visit.context.service(Models).list(project, limit=MODELS_PER_PAGE, after=after)
    return OverviewContext(
        live=True,
        now=visit.context.clock.now(),
        project=project,
        projects=projects,
        wheels=WheelMaker(visit.context, project).wheels(page.items),
        next_model=page.next,
        is_first=not after,
        running=_running(visit, project),
        alerts=_alerts(visit, project),
        events=_events(visit, project),
        drawing=draw_wheel(_STATIONS),
    )


def _project(visit: Visit) -> tuple[str, tuple[str, ...]]:
    projects = tuple(project.name for project in visit.context.service(Projects).list(limit=_PROJECTS).items)
    asked = visit.parameters.get("project")
    if asked is not None:
        return visit.context.service(Projects).get(asked).name, projects
    if not projects:
        raise NotFound("You have no role in any project", hint="Ask an admin for one: `noria users role`")
    preferred = visit.context.settings.project
    return preferred if preferred in projects else projects[0], projects


def _check_reads(visit: Visit, project: str) -> None:
    """Ask for what the services behind the page would ask for at the gate."""
    principal = visit.context.principal
    missing = next((needed for needed in _READS if not principal.may(needed, project)), None)
    if missing is not None:
        raise Forbidden(
            f"`{principal.name}` may not see this page: it needs `{missing.name}`",
            hint=f"Ask an admin for the role `{missing.role}`",
        )


def _running(visit: Visit, project: str) -> tuple[RunningRow, ...]:
    found = visit.context.service(Runs).list(project, status=RunStatus.RUNNING, limit=_RUNNING).items
    return tuple(
        RunningRow(
            run_id=run.id, name=clipped(run.name, 80), experiment=run.experiment, started_at=run.started_at
        )
        for run in found
    )


def _alerts(visit: Visit, project: str) -> tuple[AlertRow, ...]:
    monitors = visit.context.service(Monitors)
    opened = monitors.alerts(project, open_only=True, limit=_ALERTS).items
    newest = monitors.alerts(project, limit=_ALERTS).items
    rest = [alert for alert in newest if alert.closed_at is not None]
    return tuple(_alert_row(visit, alert) for alert in [*opened, *rest][:_ALERTS])


def _alert_row(visit: Visit, alert: Alert) -> AlertRow:
    return AlertRow(
        url=visit.urls.incident(alert.project, alert.id),
        endpoint=alert.endpoint,
        kind=alert.kind,
        sentence=retelling.find(alert.sentence),
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
        closed_why=course_words.found(alert.closed_why) if alert.closed_why else None,
    )


def _events(visit: Visit, project: str) -> tuple[EventRow, ...] | None:
    if not visit.context.principal.may(READ_AUDIT, project):
        return None
    log = EventLog(visit.context.database)
    found = log.latest(types=list(TYPES), project=project, limit=_EVENTS_READ)
    runs = visit.context.service(RunTables).cells(project, runs_of(found), Wanted())
    names = {run.id: run.name for run in runs}
    versions: dict[str, tuple[int | None, int]] = {}
    for rollout_id in rollouts_of(found):
        with contextlib.suppress(NotFound):  # its endpoint may be gone
            rollout = visit.context.service(Rollouts).get(project, rollout_id)
            versions[rollout_id] = (rollout.from_version, rollout.to_version)
    return tell(found, project=project, urls=visit.urls, names=names, versions=versions, limit=_EVENTS)


PAGES = (
    Page(path=OVERVIEW_PATH, needs=LIST_PROJECTS, template=TEMPLATE, build=overview, query=("after",)),
    Page(path=PROJECT_PATH, needs=READ_PROJECTS, template=TEMPLATE, build=overview, query=("after",)),
)
