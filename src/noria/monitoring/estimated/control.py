"""Have the quality of endpoints estimated while labels have not come."""

from __future__ import annotations

from typing import Final

from noria.access.projects import Projects
from noria.core.context import Context
from noria.core.control.workflows import Chore, Reaction, Tick, Workflow
from noria.data.permissions import READ_DATA
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.service import Monitors
from noria.pipelines.job_entities import NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.locate import any_endpoint
from noria.serving.permissions import READ_CAPTURES, READ_ENDPOINTS

EVERY_S: Final = 15.0
NEW_ROWS: Final = 200
"""So many new answers are worth another estimate."""

_RETRY_AFTER_S: Final = 60
_NEEDED = (READ_MONITORS, WRITE_MONITORS, READ_ENDPOINTS, READ_CAPTURES, READ_DATA)


def ask_for_estimates(context: Context) -> None:
    """Submit a job for each endpoint with enough new answers, or with labels that tell of past ones."""
    with context.database.read() as connection:
        if not any_endpoint(connection):
            return
    for project in context.service(Projects).list(limit=1000).items:
        for endpoint in context.service(Endpoints).list(project.name, limit=1000).items:
            context.service(Monitors).watch(project.name, endpoint.name)
            _ask(context, project.name, endpoint.name)


def _ask(context: Context, project: str, endpoint: str) -> None:
    before = context.service(Estimates).get(project, endpoint)
    position = before.standing.position if before.standing else 0
    head = context.service(Captures).head(project, endpoint, after=position)
    has_labels = before.standing is not None and head.label_position > before.label_position
    if head.n_rows < NEW_ROWS and not has_labels:
        return
    # The same key while nothing came of the last one; a new one after a while, so that a failure is not the last word,
    # and labels that trickle in are taken together.
    period = int(context.clock.now().timestamp()) // _RETRY_AFTER_S
    job = NewJob(
        entry="noria.monitoring.estimated.evaluate:estimate_endpoint",
        args={"project": project, "endpoint": endpoint},
        key=f"estimate:{endpoint}:{position}:{period}",
        max_attempts=1,
        permissions=[permission.name for permission in _NEEDED],
        routine=True,
    )
    context.service(Jobs).submit(project, job)


WORKFLOWS: list[Workflow] = []
TICKS: list[Tick] = []
REACTIONS: list[Reaction] = []
CHORES: list[Chore] = [Chore("monitoring.estimates", EVERY_S, ask_for_estimates)]
