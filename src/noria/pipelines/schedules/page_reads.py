"""What the pages of schedules read beyond the operations: last runs, and which pipeline run a job made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.admission import admit
from noria.core.operations import Service
from noria.pipelines.schedules.entities import Schedule, ScheduleRun, ScheduleStatus
from noria.pipelines.schedules.permissions import READ_SCHEDULES
from noria.pipelines.schedules.rows import hold, select_runs, to_run
from noria.pipelines.schedules.tables import schedule_runs, schedules
from noria.pipelines.tables import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSchedule:
    """A schedule with its newest run; None while there is none."""

    schedule: Schedule
    last: ScheduleRun | None


class SchedulePages(Service):
    """Reads for pages; no operations: programs have `Schedules`."""

    def list(
        self, project: str, *, limit: int, after: str = ""
    ) -> tuple[tuple[ListedSchedule, ...], str | None]:
        """List schedules in the order of their names; the name after which the next page begins, or None."""
        admit(self.context.principal, READ_SCHEDULES, project)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            is_there = schedules.c.status != str(ScheduleStatus.REMOVED)
            names = connection.scalars(
                sa.select(schedules.c.name)
                .where(schedules.c.project_pk == owner, is_there, schedules.c.name > after)
                .order_by(schedules.c.name)
                .limit(limit + 1)
            ).all()
            found = hold(connection, projects.c.name == project, schedules.c.name.in_(names[:limit]))
            newest = (
                sa.select(sa.func.max(schedule_runs.c.pk))
                .where(schedule_runs.c.schedule_pk == schedules.c.pk)
                .correlate(schedules)
                .scalar_subquery()
            )
            last = select_runs().where(
                schedules.c.pk.in_([held.pk for held in found]), schedule_runs.c.pk == newest
            )
            runs = {run.schedule: run for run in map(to_run, connection.execute(last).mappings())}
        listed = tuple(
            ListedSchedule(schedule=held.schedule, last=runs.get(held.schedule.name)) for held in found
        )
        return listed, names[limit - 1] if len(names) > limit else None

    def pipeline_runs(self, project: str, job_ids: Sequence[str]) -> dict[str, str]:
        """Give the pipeline run that each job made, of those that have ended well."""
        admit(self.context.principal, READ_SCHEDULES, project)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            rows = connection.execute(
                sa.select(jobs.c.id, jobs.c.result).where(jobs.c.project_pk == owner, jobs.c.id.in_(job_ids))
            ).all()
        return {
            job: result["run_id"] for job, result in rows if isinstance(result, dict) and "run_id" in result
        }
