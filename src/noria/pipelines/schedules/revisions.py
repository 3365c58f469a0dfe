"""Revisions of schedules: what was applied is kept, and a schedule runs the newest one unless it is pinned.

What runs stands in the row of the schedule itself, so that nothing else has to know of revisions; to pin is to copy
one there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Conflict, NotFound
from noria.core.objects.references import add_reference, drop_owner
from noria.pipelines.schedules.entities import Pin, ScheduleSection
from noria.pipelines.schedules.events import SCHEDULE_PINNED, SCHEDULE_UNPINNED
from noria.pipelines.schedules.revision_entities import PinSchedule, ScheduleRevision
from noria.pipelines.schedules.rows import Held, change, tell
from noria.pipelines.schedules.tables import schedule_revisions, schedule_runs, schedules
from noria.pipelines.schedules.timing import Interval, interval_at, timing_of

KEPT_REVISIONS = 50
"""Of a schedule; older ones go when another is applied, and their code with them."""

_SHORTEST_ID = 10  # digits that no number of a revision has; ids of runs have 32

_BOUND = ("spec", "snapshot", "applied_by", "role", "applied_at")


class RevisionNotFound(NotFound):
    """The schedule keeps no such revision."""

    code = "schedule_revision_not_found"

    def __init__(self, name: str, to: str, known: Sequence[int]) -> None:
        kept = f"It keeps {known[-1]} to {known[0]}: " if known else ""
        super().__init__(
            f"The schedule `{name}` keeps no revision `{to}`",
            hint=f"{kept}`noria schedules revisions {name}`",
            details={"schedule": name, "to": to},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a revision binds to its schedule.

    Attributes
    ----------
    values
        Columns of the schedule and of the revision alike.
    """

    number: int
    values: dict[str, Any]

    @property
    def what_runs(self) -> tuple[ScheduleSection, str | None]:
        """The declaration and the code."""
        return self.values["spec"], self.values["snapshot"]


def kept_revisions(connection: sa.Connection, schedule_pk: int) -> list[Bound]:
    """Read the revisions of a schedule, newest first."""
    columns = [schedule_revisions.c[name] for name in ("number", *_BOUND)]
    query = sa.select(*columns).where(schedule_revisions.c.schedule_pk == schedule_pk)
    rows = connection.execute(query.order_by(schedule_revisions.c.number.desc())).mappings()
    return [Bound(number=row["number"], values={name: row[name] for name in _BOUND}) for row in rows]


def to_revision(held: Held, bound: Bound) -> ScheduleRevision:
    """Give a revision as callers see it."""
    shown = {name: value for name, value in bound.values.items() if name != "role"}
    return ScheduleRevision(number=bound.number, is_running=bound.number == held.schedule.revision, **shown)


def add_revision(connection: sa.Connection, schedule_pk: int, values: dict[str, Any]) -> int:
    """Keep what was applied, and give its number; applied once more by the same person, it has one already."""
    known = kept_revisions(connection, schedule_pk)
    same = ("spec", "snapshot", "applied_by", "role")
    if known and all(known[0].values[name] == values[name] for name in same):
        return known[0].number
    number = known[0].number + 1 if known else _next_number(connection, schedule_pk)
    row = {name: values[name] for name in _BOUND}
    connection.execute(sa.insert(schedule_revisions).values(schedule_pk=schedule_pk, number=number, **row))
    connection.execute(sa.update(schedules).where(schedules.c.pk == schedule_pk).values(newest=number))
    return number


def drop_old(connection: sa.Connection, held: Held) -> None:
    """Let the oldest revisions go where there are too many; never the one that runs."""
    old = [bound.number for bound in kept_revisions(connection, held.pk)[KEPT_REVISIONS:]]
    of_it = schedule_revisions.c.schedule_pk == held.pk
    gone = schedule_revisions.c.number.in_([each for each in old if each != held.schedule.revision])
    connection.execute(sa.delete(schedule_revisions).where(of_it, gone))


def keep_code(connection: sa.Connection, context: Context, held: Held) -> None:
    """Keep the code of the revisions that are kept, so that each of them can run."""
    owner, schedule = f"schedule:{held.schedule.id}", held.schedule
    drop_owner(connection, owner)
    for snapshot in sorted({bound.values["snapshot"] or "" for bound in kept_revisions(connection, held.pk)}):
        if snapshot:
            add_reference(connection, context.clock, project=schedule.project, digest=snapshot, owner=owner)


def forget_revisions(connection: sa.Connection, held: Held) -> None:
    """Let all revisions of a schedule go, with their code."""
    connection.execute(sa.delete(schedule_revisions).where(schedule_revisions.c.schedule_pk == held.pk))
    drop_owner(connection, f"schedule:{held.schedule.id}")


def pin(connection: sa.Connection, context: Context, held: Held, wish: PinSchedule) -> None:
    """Have a schedule run a revision until it is unpinned; asked again, it changes nothing.

    Raises
    ------
    RevisionNotFound
        If the revision is not kept.
    Conflict
        If no earlier one differs from what runs.
    """
    found = _wanted(connection, held, wish.to)
    before = held.schedule
    if before.pin is not None and before.revision == found.number:
        return
    pinned = Pin(by=context.principal.name, at=context.clock.now(), reason=wish.reason)
    _run(connection, context, held, found, pinned)
    told = {"revision": found.number, "from": before.revision, "snapshot": found.values["snapshot"]}
    tell(connection, context, SCHEDULE_PINNED, held, {**told, "reason": wish.reason})


def unpin(connection: sa.Connection, context: Context, held: Held) -> None:
    """Have a schedule run what was applied last again; one that is not pinned is left as it is."""
    before = held.schedule
    if before.pin is None:
        return
    newest = kept_revisions(connection, held.pk)[0]
    _run(connection, context, held, newest, None)
    told = {"revision": newest.number, "from": before.revision, "snapshot": newest.values["snapshot"]}
    tell(connection, context, SCHEDULE_UNPINNED, held, told)


def coming_interval(context: Context, spec: ScheduleSection) -> Interval | None:
    """Give the interval of the present; None where nothing runs by the clock."""
    return interval_at(timing_of(spec), context.clock.now()) if spec.has_intervals else None


def next_interval(context: Context, before: ScheduleSection | None, spec: ScheduleSection) -> dict[str, Any]:
    """Give the columns that say what comes next; nothing where it goes on as before."""
    if before is not None and before.timing == spec.timing:
        return {}
    coming = coming_interval(context, spec)
    return {"next_start": coming and coming.start, "next_due": coming and coming.end}


def _run(connection: sa.Connection, context: Context, held: Held, bound: Bound, pinned: Pin | None) -> None:
    coming = next_interval(context, held.schedule.spec, bound.values["spec"])
    change(connection, held, revision=bound.number, pin=pinned, **bound.values, **coming)


def _wanted(connection: sa.Connection, held: Held, to: str | None) -> Bound:
    known = kept_revisions(connection, held.pk)
    now = (held.schedule.spec, held.schedule.snapshot)
    if to is None:
        earlier = [each for each in known if each.number < held.schedule.revision and each.what_runs != now]
        if not earlier:
            raise Conflict(
                f"The schedule `{held.schedule.name}` keeps no earlier revision that differs",
                hint=f"See `noria schedules revisions {held.schedule.name}`",
            )
        return earlier[0]
    is_number = to.isascii() and to.isdigit() and len(to) < _SHORTEST_ID
    number = int(to) if is_number else _number_of_run(connection, held, to)
    found = next((each for each in known if each.number == number), None)
    if found is None:
        raise RevisionNotFound(held.schedule.name, to, [each.number for each in known])
    return found


def _number_of_run(connection: sa.Connection, held: Held, run_id: str) -> int | None:
    query = sa.select(schedule_runs.c.revision).where(
        schedule_runs.c.schedule_pk == held.pk,
        sa.or_(schedule_runs.c.id == run_id, schedule_runs.c.run_id == run_id),
    )
    found = connection.execute(query.limit(1)).first()
    return None if found is None else found[0]


def _next_number(connection: sa.Connection, schedule_pk: int) -> int:
    """Give a number that none had, also after all of them went with the schedule."""
    newest = sa.select(schedules.c.newest).where(schedules.c.pk == schedule_pk)
    return int(connection.execute(newest).scalar_one()) + 1
