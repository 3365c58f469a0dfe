"""Alerts about monitors that see nothing: answers wait, and no look at them comes to an end.

Looks are jobs of workers. Where none runs, or every look fails, an endpoint goes on answering and its monitor stands
still: what should have told of trouble is silent. A look is asked for by the place where its monitor stands, so those
that were asked for and came to nothing since it stands there say since when, and the newest of them why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.monitoring import sentences
from noria.monitoring.alerts.raising import Raising
from noria.monitoring.entities import AlertKind, NewAlert
from noria.monitoring.receivers.entities import AlertSection
from noria.monitoring.tables import alerts, monitors
from noria.pipelines.job_entities import JobStatus
from noria.pipelines.tables import jobs
from noria.serving.tables import endpoints

WATCH_EVERY_S: Final = 20.0

_LONGEST: Final = 300
_LOOK: Final = "look"

Place = tuple[str, str]
"""Project and endpoint."""


class Blind(NamedTuple):
    """A monitor that has stood still since a look was first asked for; `why` no look ended, where one failed."""

    since: datetime
    version: int
    why: str | None


def look_key(monitor_id: str, position: int, label_position: int, period: int) -> str:
    """Give the key of a look: equal while a monitor stands where it stands, in one period of time.

    Examples
    --------
    >>> look_key("0197", 40, 3, 9)
    'look:0197:40:3:9'
    """
    return f"{_standing(monitor_id, position, label_position)}:{period}"


def looks_under_way(connection: sa.Connection) -> set[str]:
    """Give the ids of the monitors for which a look waits for a worker, or runs."""
    found = (key.split(":") for key in connection.execute(_UNDER_WAY).scalars())
    return {parts[1] for parts in found if parts[0] == _LOOK}


def watch_monitors(context: Context) -> None:
    """Raise and close alerts about monitors that stand still."""
    patience = timedelta(seconds=context.settings.section("alerts", AlertSection).unwatched_after_s)
    now = context.clock.now()
    with context.database.read() as connection:
        opened = {(row.project, row.endpoint) for row in connection.execute(_OPENED)}
        asked = connection.execute(_ASKED).all()
        if not asked and not opened:
            return
        standing = connection.execute(_MONITORS).all()
    blind = _blind(standing, asked)
    lasting = {place: found for place, found in blind.items() if now - found.since >= patience}
    new = {place: found for place, found in lasting.items() if place not in opened}
    over = opened - lasting.keys()
    if not new and not over:
        return
    known = {(row.project, row.endpoint) for row in standing}
    with context.database.write() as connection:
        for place, found in sorted(new.items()):
            Raising(context, connection, place[0]).start(place[1], _alert(found, now))
        for place in sorted(over):
            why = sentences.LOOKED_AT if place in known else sentences.ENDPOINT_GONE
            Raising(context, connection, place[0]).close(place[1], AlertKind.MONITOR, why)


def _blind(standing: Sequence[Any], asked: Sequence[Any]) -> Mapping[Place, Blind]:
    by_standing: dict[str, list[Any]] = {}
    for job in asked:
        by_standing.setdefault(str(job.key).rpartition(":")[0], []).append(job)
    found = {}
    for monitor in standing:
        here = by_standing.get(_standing(monitor.id, monitor.position, monitor.label_position))
        if here:
            failed = [job.error.message for job in here if job.error is not None]
            since = min(job.created_at for job in here)
            found[monitor.project, monitor.endpoint] = Blind(
                since, monitor.version, failed[-1] if failed else None
            )
    return found


def _standing(monitor_id: str, position: int, label_position: int) -> str:
    return f"{_LOOK}:{monitor_id}:{position}:{label_position}"


def _alert(found: Blind, now: datetime) -> NewAlert:
    waited_s = (now - found.since).total_seconds()
    minutes = f"{waited_s / 60:.0f}"
    if found.why is None:
        sentence = sentences.NO_LOOK % {"minutes": minutes}
    else:
        why = found.why.replace("`", "'")
        short = why if len(why) <= _LONGEST else f"{why[: _LONGEST - 1]}…"
        sentence = sentences.LOOKS_FAIL % {"minutes": minutes, "error": short}
    return NewAlert(
        kind=AlertKind.MONITOR,
        version=found.version,
        figures={"waited_s": waited_s},
        sentence=sentence,
        onset_position=0,
        last_position=0,
        since=found.since,
    )


_UNDER_WAY = sa.select(jobs.c.key).where(jobs.c.routine.is_(True), jobs.c.ended_at.is_(None))
_ASKED = (
    sa.select(jobs.c.key, jobs.c.created_at, jobs.c.error)
    .where(
        # Both ways by an index: of those that ended well there are hundreds.
        sa.or_(
            sa.and_(jobs.c.routine.is_(True), jobs.c.ended_at.is_(None)),
            sa.and_(jobs.c.status == str(JobStatus.FAILED), jobs.c.routine.is_(True)),
        ),
        jobs.c.key.startswith(f"{_LOOK}:"),
    )
    .order_by(jobs.c.pk)
)
_MONITORS = (
    sa.select(
        projects.c.name.label("project"),
        monitors.c.endpoint,
        monitors.c.id,
        monitors.c.position,
        monitors.c.label_position,
        monitors.c.version,
    )
    .join(projects, projects.c.pk == monitors.c.project_pk)
    .join(
        endpoints,
        sa.and_(
            endpoints.c.project_pk == monitors.c.project_pk,
            endpoints.c.name == monitors.c.endpoint,
            endpoints.c.deleted_at.is_(None),
        ),
    )
)
_OPENED = (
    sa.select(projects.c.name.label("project"), alerts.c.endpoint)
    .join(projects, projects.c.pk == alerts.c.project_pk)
    .where(alerts.c.closed_at.is_(None), alerts.c.kind == str(AlertKind.MONITOR))
)
