"""Taking over declarations: what is refused, and how a schedule is bound to code."""

from __future__ import annotations

import re
import secrets
from typing import Any

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.ids import new_id
from noria.core.objects.references import add_reference, drop_owner
from noria.core.permissions import Role
from noria.pipelines.receivers import check_notice_address
from noria.pipelines.schedules.entities import (
    AppliedSchedule,
    NewSchedules,
    RunState,
    Schedule,
    ScheduleSection,
    ScheduleStatus,
)
from noria.pipelines.schedules.events import SCHEDULE_APPLIED, SCHEDULE_REMOVED
from noria.pipelines.schedules.planning import PLACEHOLDERS
from noria.pipelines.schedules.rows import Held, end_waiting, hold_named, tell
from noria.pipelines.schedules.tables import schedule_runs, schedules
from noria.pipelines.schedules.timing import Interval, ScheduleInvalid, interval_at, timing_of
from noria.pipelines.schedules.triggers import check_trigger

MAX_SCHEDULES = 200
"""Of one project."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_OWN = "noria."


def check_all(new: NewSchedules) -> None:
    """Refuse declarations that cannot run.

    Raises
    ------
    ScheduleInvalid
        The message names the schedule and what is wrong.
    """
    if len(new.schedules) > MAX_SCHEDULES:
        raise ScheduleInvalid(
            f"There are {len(new.schedules)} schedules", hint=f"A project has up to {MAX_SCHEDULES}"
        )
    names = [spec.name for spec in new.schedules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ScheduleInvalid(f"Two schedules have the name `{twice}`", hint="Rename one of them")
    for spec in new.schedules:
        _check(spec, new.snapshot)
    _check_circle(new.schedules)


def apply_one(
    connection: sa.Connection,
    context: Context,
    owner: int,
    known: Held | None,
    spec: ScheduleSection,
    new: NewSchedules,
    project: str,
    position: int,
) -> AppliedSchedule:
    """Make or change one schedule; one that changes neither time nor zone goes on where it stands."""
    there = known if known is not None and known.schedule.status is not ScheduleStatus.REMOVED else None
    values = _values(context, spec, new, there, project, position)
    if known is None:
        made = {"id": new_id(), "project_pk": owner, "name": spec.name, "salt": secrets.token_hex(16)}
        connection.execute(sa.insert(schedules).values(**made, **values))
    else:
        change(connection, known, **values)
    held = hold_named(connection, project, spec.name)
    _refer(connection, context, held)
    is_same = there is not None and (there.schedule.spec, there.schedule.snapshot) == (spec, new.snapshot)
    what = "same" if is_same else "changed" if there is not None else "new"
    payload = {"snapshot": new.snapshot, "change": what}
    tell(connection, context, SCHEDULE_APPLIED, held, payload)
    return applied(held.schedule, what)


def remove(connection: sa.Connection, context: Context, held: Held) -> None:
    """Remove a schedule; its runs stay on record."""
    change(connection, held, status=str(ScheduleStatus.REMOVED), next_start=None, next_due=None)
    of_it = schedule_runs.c.schedule_pk == held.pk
    end_waiting(connection, context, RunState.CANCELLED, "the schedule was removed", of_it)
    drop_owner(connection, f"schedule:{held.schedule.id}")
    tell(connection, context, SCHEDULE_REMOVED, held, {})


def change(connection: sa.Connection, held: Held, **values: Any) -> None:
    """Write columns of a schedule."""
    connection.execute(sa.update(schedules).where(schedules.c.pk == held.pk).values(**values))


def applied(schedule: Schedule, what: str) -> AppliedSchedule:
    """Tell what became of a schedule."""
    return AppliedSchedule(
        name=schedule.name, change=what, snapshot=schedule.snapshot, next_due=schedule.next_due
    )


def coming_interval(context: Context, spec: ScheduleSection) -> Interval | None:
    """Give the interval of the present; None where nothing runs by the clock."""
    return interval_at(timing_of(spec), context.clock.now()) if spec.has_intervals else None


def _values(
    context: Context,
    spec: ScheduleSection,
    new: NewSchedules,
    there: Held | None,
    project: str,
    position: int,
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "spec": spec,
        "snapshot": new.snapshot,
        "applied_by": context.principal.name,
        "role": str(context.principal.role_in(project) or Role.VIEWER),
        "applied_at": context.clock.now(),
    }
    if there is None:
        values |= {"status": str(ScheduleStatus.ACTIVE), "failing_since": None, "n_failures": 0}
        values |= {"since_position": position}
    if there is None or there.schedule.spec.timing != spec.timing:
        coming = coming_interval(context, spec)
        values |= {"next_start": coming and coming.start, "next_due": coming and coming.end}
    return values


def _refer(connection: sa.Connection, context: Context, held: Held) -> None:
    """Keep the code for as long as the schedule runs it."""
    owner, schedule = f"schedule:{held.schedule.id}", held.schedule
    drop_owner(connection, owner)
    if schedule.snapshot is not None:
        add_reference(
            connection, context.clock, project=schedule.project, digest=schedule.snapshot, owner=owner
        )


def _check(spec: ScheduleSection, snapshot: str | None) -> None:
    name = spec.name
    if _NAME.fullmatch(name) is None:
        raise ScheduleInvalid(
            f"`{name[:100]}` is not a name for a schedule",
            hint="Up to 63 letters and digits; inside also dots, hyphens and underscores",
        )
    if spec.cron is not None and spec.every_s is not None:
        raise ScheduleInvalid(f"The schedule `{name}` has both `cron` and `every_s`", hint="Leave one out")
    if not spec.has_intervals and spec.on is None:
        raise ScheduleInvalid(
            f"The schedule `{name}` has nothing that starts it", hint="Give `cron`, `every_s` or `on`"
        )
    if snapshot is None and not spec.run.startswith(_OWN):
        raise ScheduleInvalid(
            f"The pipeline `{spec.run}` of the schedule `{name}` comes without code",
            hint="Take a snapshot of its project, as `noria schedules apply` does",
        )
    if spec.has_intervals:
        timing_of(spec)
    if spec.on is not None:
        check_trigger(name, spec.on)
    for address in spec.notify:
        check_notice_address(address)
    _check_placeholders(spec)


def _check_placeholders(spec: ScheduleSection) -> None:
    clock = () if spec.has_intervals else PLACEHOLDERS[:4]
    for key, value in spec.params.items():
        for word in clock:
            if isinstance(value, str) and "{" + word + "}" in value:
                raise ScheduleInvalid(
                    f"`{key}` of the schedule `{spec.name}` uses `{{{word}}}`, but nothing runs it by the clock",
                    hint="Give `cron` or `every_s`, or another value",
                )


def _check_circle(specs: list[ScheduleSection]) -> None:
    """Refuse schedules that start one another for ever."""
    after = {spec.name: spec.on.schedule for spec in specs if spec.on is not None and spec.on.schedule}
    for start, name in after.items():
        seen = [start]
        last = name
        while last in after and last not in seen:
            seen.append(last)
            last = after[last]
        if last == start:
            circle = " → ".join(f"`{link}`" for link in [*seen, start])
            raise ScheduleInvalid(
                f"Schedules wait for one another: {circle}", hint="Start one of them otherwise"
            )
