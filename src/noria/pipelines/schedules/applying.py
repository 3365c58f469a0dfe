"""Taking over declarations: what is refused, and how a schedule is bound to code."""

from __future__ import annotations

import re
import secrets
from typing import Any

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import near
from noria.core.ids import new_id
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
from noria.pipelines.schedules.revisions import (
    add_revision,
    drop_old,
    forget_revisions,
    keep_code,
    next_interval,
)
from noria.pipelines.schedules.rows import Held, change, end_waiting, hold_named, tell
from noria.pipelines.schedules.tables import schedule_runs, schedules
from noria.pipelines.schedules.timing import ScheduleInvalid, timing_of
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
    for name in new.unpin:
        if name not in names:
            close = near(name, names)
            raise ScheduleInvalid(
                f"`{name[:100]}` is to be unpinned, and is not declared",
                hint=f"Did you mean `{close}`?" if close else "Declare it, or use `noria schedules unpin`",
            )
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
    """Make or change one schedule; one that changes neither time nor zone goes on where it stands.

    One that is pinned goes on with what it is pinned to, unless it is named in `new.unpin`: what is applied is kept as
    its newest revision.
    """
    there = known if known is not None and known.schedule.status is not ScheduleStatus.REMOVED else None
    bound = _bound(context, spec, new, project)
    if there is not None and there.schedule.pin is not None and spec.name not in new.unpin:
        add_revision(connection, there.pk, bound)
        return _told(connection, context, project, spec.name, "pinned", new)
    values = {**bound, "pin": None, **_beginning(there, position)}
    values |= next_interval(context, there.schedule.spec if there else None, spec)
    if known is None:
        made = {"id": new_id(), "project_pk": owner, "name": spec.name, "salt": secrets.token_hex(16)}
        connection.execute(sa.insert(schedules).values(**made, **values, revision=0, newest=0))
    else:
        change(connection, known, **values)
    held = hold_named(connection, project, spec.name)
    change(connection, held, revision=add_revision(connection, held.pk, bound))
    is_same = there is not None and (there.schedule.spec, there.schedule.snapshot) == (spec, new.snapshot)
    what = "same" if is_same else "changed" if there is not None else "new"
    return _told(connection, context, project, spec.name, what, new)


def remove(connection: sa.Connection, context: Context, held: Held) -> None:
    """Remove a schedule; its runs stay on record."""
    change(connection, held, status=str(ScheduleStatus.REMOVED), next_start=None, next_due=None, pin=None)
    of_it = schedule_runs.c.schedule_pk == held.pk
    end_waiting(connection, context, RunState.CANCELLED, "the schedule was removed", of_it)
    forget_revisions(connection, held)
    tell(connection, context, SCHEDULE_REMOVED, held, {})


def applied(schedule: Schedule, what: str) -> AppliedSchedule:
    """Tell what became of a schedule."""
    return AppliedSchedule(
        name=schedule.name,
        change=what,
        snapshot=schedule.snapshot,
        next_due=schedule.next_due,
        revision=schedule.revision,
        newest=schedule.newest,
    )


def _told(
    connection: sa.Connection, context: Context, project: str, name: str, what: str, new: NewSchedules
) -> AppliedSchedule:
    """Keep what was applied, and tell of it."""
    held = hold_named(connection, project, name)
    drop_old(connection, held)
    keep_code(connection, context, held)
    payload = {"snapshot": new.snapshot, "change": what, "revision": held.schedule.newest}
    tell(connection, context, SCHEDULE_APPLIED, held, payload)
    return applied(held.schedule, what)


def _bound(context: Context, spec: ScheduleSection, new: NewSchedules, project: str) -> dict[str, Any]:
    return {
        "spec": spec,
        "snapshot": new.snapshot,
        "applied_by": context.principal.name,
        "role": str(context.principal.role_in(project) or Role.VIEWER),
        "applied_at": context.clock.now(),
    }


def _beginning(there: Held | None, position: int) -> dict[str, Any]:
    """Give the columns of a schedule that begins; nothing where it goes on."""
    if there is not None:
        return {}
    return {
        "status": str(ScheduleStatus.ACTIVE),
        "failing_since": None,
        "n_failures": 0,
        "since_position": position,
    }


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
