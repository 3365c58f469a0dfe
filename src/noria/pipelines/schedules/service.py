"""Operations on schedules: bind them to code, watch them, and run what the clock did not."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventLog
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.pipelines.schedules.applying import applied, apply_one, check_all, remove
from noria.pipelines.schedules.backfills import begin_backfill, end_backfill, load_backfill
from noria.pipelines.schedules.entities import (
    AppliedSchedules,
    Backfill,
    Cause,
    Hook,
    NewBackfill,
    NewSchedules,
    RunState,
    Schedule,
    SchedulePage,
    ScheduleRun,
    ScheduleRunPage,
    ScheduleStatus,
)
from noria.pipelines.schedules.events import SCHEDULE_PAUSED, SCHEDULE_REQUESTED, SCHEDULE_RESUMED
from noria.pipelines.schedules.hooks import hook_path
from noria.pipelines.schedules.permissions import APPLY_SCHEDULES, READ_SCHEDULES, RUN_SCHEDULES
from noria.pipelines.schedules.revision_entities import PinSchedule, RevisionList
from noria.pipelines.schedules.revisions import coming_interval, kept_revisions, pin, to_revision, unpin
from noria.pipelines.schedules.rows import (
    Held,
    NewRun,
    add_run,
    ask_again,
    change,
    find_run,
    hold,
    hold_named,
    interval_key,
    select_runs,
    tell,
    to_run,
)
from noria.pipelines.schedules.signing import hook_secret, notice_secret
from noria.pipelines.schedules.tables import schedule_backfills, schedule_runs, schedules
from noria.pipelines.schedules.timing import Interval, interval_at, timing_of

MAX_PAGE = 1000
_INSTANT = timedelta(microseconds=1)
_IS_THERE = schedules.c.status != str(ScheduleStatus.REMOVED)


class Schedules(Service):
    """Pipelines that run by the clock or after something happened."""

    @operation("PUT", "/projects/{project}/schedules", needs=APPLY_SCHEDULES)
    def apply(self, project: str, new: NewSchedules) -> AppliedSchedules:
        """Take over declarations and bind them to code; their runs act with the caller's rights from then on.

        What was bound before is kept as an earlier revision. A schedule that is pinned goes on with the revision that
        it is pinned to, unless it is named in `unpin`.
        """
        check_all(new)
        context, declared = self.context, {spec.name for spec in new.schedules}
        position = EventLog(context.database).last_position()
        with context.database.write(durable=True) as connection:
            owner = project_pk(connection, project)
            every = hold(connection, projects.c.name == project, lock=True)
            known = {held.schedule.name: held for held in every}
            items = [
                apply_one(connection, context, owner, known.get(spec.name), spec, new, project, position)
                for spec in new.schedules
            ]
            for name, held in known.items():
                if name in declared or held.schedule.status is ScheduleStatus.REMOVED:
                    continue
                if new.prune:
                    remove(connection, context, held)
                items.append(applied(held.schedule, "removed" if new.prune else "kept"))
        return AppliedSchedules(items=items)

    @operation("GET", "/projects/{project}/schedules", needs=READ_SCHEDULES)
    def list(self, project: str) -> SchedulePage:
        """List the schedules of a project by name."""
        with self.context.database.read() as connection:
            project_pk(connection, project)
            found = hold(connection, projects.c.name == project, _IS_THERE)
        return SchedulePage(items=[held.schedule for held in found])

    @operation("GET", "/projects/{project}/schedules/{name}", needs=READ_SCHEDULES)
    def get(self, project: str, name: str) -> Schedule:
        """Get one schedule."""
        with self.context.database.read() as connection:
            return hold_named(connection, project, name).schedule

    @operation("DELETE", "/projects/{project}/schedules/{name}", needs=RUN_SCHEDULES)
    def delete(self, project: str, name: str) -> None:
        """Remove a schedule: what waits is cancelled, what runs goes on, and its runs stay on record."""
        with self.context.database.write(durable=True) as connection:
            remove(connection, self.context, hold_named(connection, project, name))

    @operation("POST", "/projects/{project}/schedules/{name}/pause", needs=RUN_SCHEDULES, status=200)
    def pause(self, project: str, name: str) -> Schedule:
        """Start nothing by the clock or after events until the schedule is resumed; what runs goes on."""
        with self.context.database.write(durable=True) as connection:
            held = hold_named(connection, project, name)
            if held.schedule.status is ScheduleStatus.ACTIVE:
                change(connection, held, status=str(ScheduleStatus.PAUSED))
                tell(connection, self.context, SCHEDULE_PAUSED, held, {})
            return hold_named(connection, project, name).schedule

    @operation("POST", "/projects/{project}/schedules/{name}/resume", needs=RUN_SCHEDULES, status=200)
    def resume(self, project: str, name: str) -> Schedule:
        """Start runs again, from the interval of the present on; a backfill runs those in between."""
        position = EventLog(self.context.database).last_position()
        with self.context.database.write(durable=True) as connection:
            held = hold_named(connection, project, name)
            if held.schedule.status is ScheduleStatus.PAUSED:
                coming = coming_interval(self.context, held.schedule.spec)
                change(
                    connection,
                    held,
                    status=str(ScheduleStatus.ACTIVE),
                    since_position=position,
                    next_start=coming and coming.start,
                    next_due=coming and coming.end,
                )
                tell(connection, self.context, SCHEDULE_RESUMED, held, {})
            return hold_named(connection, project, name).schedule

    @operation("GET", "/projects/{project}/schedules/{name}/revisions", needs=READ_SCHEDULES)
    def revisions(self, project: str, name: str) -> RevisionList:
        """List what was applied to a schedule, newest first: the newest 50 revisions are kept with their code."""
        with self.context.database.read() as connection:
            held = hold_named(connection, project, name)
            return RevisionList(
                items=[to_revision(held, each) for each in kept_revisions(connection, held.pk)]
            )

    @operation("POST", "/projects/{project}/schedules/{name}/pin", needs=APPLY_SCHEDULES, status=200)
    def pin(self, project: str, name: str, wish: PinSchedule) -> Schedule:
        """Run one revision, with the rights of who applied it, whatever is applied later; runs under way go on.

        Raises
        ------
        RevisionNotFound
            If the schedule does not keep it.
        Conflict
            If none is named and no earlier one differs from what runs.
        """
        with self.context.database.write(durable=True) as connection:
            pin(connection, self.context, hold_named(connection, project, name, lock=True), wish)
            return hold_named(connection, project, name).schedule

    @operation("POST", "/projects/{project}/schedules/{name}/unpin", needs=APPLY_SCHEDULES, status=200)
    def unpin(self, project: str, name: str) -> Schedule:
        """Run what was applied last again."""
        with self.context.database.write(durable=True) as connection:
            unpin(connection, self.context, hold_named(connection, project, name, lock=True))
            return hold_named(connection, project, name).schedule

    @operation("POST", "/projects/{project}/schedules/{name}/runs", needs=RUN_SCHEDULES)
    def run(self, project: str, name: str, interval: datetime | None = None) -> ScheduleRun:
        """Run a schedule now: once more for the interval that `interval` falls in, or for the one that ended last."""
        with self.context.database.write() as connection:
            held = hold_named(connection, project, name)
            wanted = self._wanted(held, interval)
            key = interval_key(wanted.start) if interval and wanted else f"manual:{new_id()}"
            add_run(connection, self.context, held.pk, NewRun(key, Cause.MANUAL, wanted))
            run = find_run(connection, held, key)
            if run.state is not RunState.WAITING and not ask_again(
                connection, self.context, run, cause=Cause.MANUAL
            ):
                raise Conflict(
                    f"The run of `{key}` is {run.state}", hint="Cancel its job, or wait for its end"
                )
            tell(connection, self.context, SCHEDULE_REQUESTED, held, {"run": run.id, "key": key})
            return find_run(connection, held, key)

    @operation("GET", "/projects/{project}/schedules/{name}/runs", needs=READ_SCHEDULES)
    def history(
        self,
        project: str,
        name: str,
        state: RunState | None = None,
        backfill: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> ScheduleRunPage:
        """List the runs of a schedule, newest first, from the one that follows the run `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            held = hold_named(connection, project, name)
            query = select_runs().where(schedule_runs.c.schedule_pk == held.pk)
            query = query.order_by(schedule_runs.c.pk.desc()).limit(bound + 1)
            if state is not None:
                query = query.where(schedule_runs.c.state == str(state))
            if backfill is not None:
                query = query.where(schedule_backfills.c.id == backfill)
            if before is not None:
                last = sa.select(schedule_runs.c.pk).where(schedule_runs.c.id == before).scalar_subquery()
                query = query.where(schedule_runs.c.pk < last)
            items = [to_run(row) for row in connection.execute(query).mappings()]
        return ScheduleRunPage(items=items[:bound], next=items[bound - 1].id if len(items) > bound else None)

    @operation("GET", "/projects/{project}/schedule-runs/{run_id}", needs=READ_SCHEDULES)
    def find_run(self, project: str, run_id: str) -> ScheduleRun:
        """Get the run of a schedule that has this id, or that the pipeline's run of this id belongs to.

        Raises
        ------
        NotFound
            If no run of a schedule in the project has it.
        """
        named = sa.or_(schedule_runs.c.id == run_id, schedule_runs.c.run_id == run_id)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = select_runs().where(named, schedules.c.project_pk == owner).limit(1)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(
                f"No run of a schedule is, or made, the run `{run_id[:64]}`",
                hint="See `noria schedules history NAME`",
            )
        return to_run(row)

    @operation("POST", "/projects/{project}/schedules/{name}/backfills", needs=RUN_SCHEDULES)
    def backfill(self, project: str, name: str, new: NewBackfill) -> Backfill:
        """Run intervals of the past that have no run, or none that succeeded."""
        with self.context.database.write() as connection:
            held = hold_named(connection, project, name)
            begun = begin_backfill(connection, self.context, held, new)
            payload = {"backfill": begun.id, "start": new.start.isoformat(), "end": new.end.isoformat()}
            tell(connection, self.context, SCHEDULE_REQUESTED, held, payload)
        return begun

    @operation(
        "POST",
        "/projects/{project}/schedules/{name}/backfills/{backfill_id}/stop",
        needs=RUN_SCHEDULES,
        status=200,
    )
    def stop_backfill(self, project: str, name: str, backfill_id: str) -> Backfill:
        """Begin no further run of a backfill."""
        with self.context.database.write() as connection:
            return end_backfill(connection, self.context, hold_named(connection, project, name), backfill_id)

    @operation("GET", "/projects/{project}/schedules/{name}/backfills/{backfill_id}", needs=READ_SCHEDULES)
    def get_backfill(self, project: str, name: str, backfill_id: str) -> Backfill:
        """Tell how far a backfill has come."""
        with self.context.database.read() as connection:
            return load_backfill(connection, hold_named(connection, project, name), backfill_id)

    @operation("GET", "/projects/{project}/schedules/{name}/hook", needs=APPLY_SCHEDULES)
    def hook(self, project: str, name: str) -> Hook:
        """Get the address that starts a schedule, and the secrets of its calls and notices."""
        with self.context.database.read() as connection:
            held = hold_named(connection, project, name)
        folder = self.context.settings.folder
        return Hook(
            path=hook_path(held.schedule),
            secret=hook_secret(folder, held.salt),
            notice_secret=notice_secret(folder, held.salt),
        )

    def _wanted(self, held: Held, moment: datetime | None) -> Interval | None:
        spec = held.schedule.spec
        if not spec.has_intervals:
            if moment is not None:
                raise Invalid(f"The schedule `{spec.name}` does not run by the clock, and has no intervals")
            return None
        timing = timing_of(spec)
        if moment is None:
            end = next(timing.until(self.context.clock.now()))
            return interval_at(timing, next(timing.until(end - _INSTANT)))
        found = interval_at(timing, moment)
        if found.end > self.context.clock.now():
            raise Invalid(
                f"The interval of `{moment.isoformat()}` has not ended", hint="Leave `interval` out"
            )
        return found
