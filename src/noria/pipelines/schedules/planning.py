"""Which intervals of a schedule run now, and what its parameters become: pure rules, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from noria.pipelines.schedules.entities import ScheduleSection
from noria.pipelines.schedules.timing import Interval, Timing, interval_at, newest_ended

ON_TIME = timedelta(minutes=1)
"""An interval that ended no longer ago runs even if nothing is to be caught up."""

PLACEHOLDERS = ("interval_start", "interval_end", "start_date", "end_date", "subject", "version")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a look at the clock leads to.

    Attributes
    ----------
    due
        Intervals to run, in order.
    missed
        The time before them that is passed over, if any is.
    next
        The interval that comes next.
    """

    due: list[Interval]
    missed: Interval | None
    next: Interval


def plan(timing: Timing, next_start: datetime, now: datetime, *, catchup: int) -> Plan:
    """Decide which intervals run, out of those that ended since the last look.

    Where the clock was set back behind `next_start`, the plan goes on from the interval of the present; the intervals
    that have a run already are told apart by their keys.
    """
    coming = interval_at(timing, now)
    if next_start >= coming.start:
        return Plan(due=[], missed=None, next=coming)
    due = newest_ended(timing, now, since=next_start, limit=max(1, catchup))
    if catchup == 0 and due and now - due[-1].end > ON_TIME:
        due = []
    begun = due[0].start if due else coming.start
    missed = Interval(next_start, begun) if begun > next_start else None
    return Plan(due=due, missed=missed, next=coming)


def filled_params(
    section: ScheduleSection,
    *,
    start: datetime | None,
    end: datetime | None,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the parameters of a run, with what stands in braces replaced in every text.

    Examples
    --------
    >>> from datetime import UTC
    >>> section = ScheduleSection(name="n", run="a:b", params={"day": "{start_date}"}, timezone="Europe/Berlin")
    >>> start = datetime(2026, 3, 28, 23, tzinfo=UTC)
    >>> filled_params(section, start=start, end=start + timedelta(hours=23), details={})
    {'day': '2026-03-29'}
    """
    zone = ZoneInfo(section.timezone)
    words = {name: str(details[name]) for name in ("subject", "version") if name in details}
    for name, moment in (("start", start), ("end", end)):
        if moment is not None:
            local = moment.astimezone(zone)
            words |= {f"interval_{name}": local.isoformat(), f"{name}_date": local.date().isoformat()}
    return {key: _filled(value, words) for key, value in section.params.items()}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace("{" + name + "}", word)
        return value
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, words) for key, item in value.items()}
    return value
