"""When a schedule fires, and the data intervals between.

A schedule's firings cut time into intervals, and an interval's run begins when the interval is over. Of five fields,
`cron` follows Debian's cron where clocks are put forward or back. A job of fixed hours and minutes runs once on such a
day: a time that does not exist becomes the first moment after the gap, and of a time that comes twice the first one
counts. A job whose minute or hour begins with `*` runs whenever the clock on the wall shows a matching time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from noria.core.errors import Invalid, near
from noria.pipelines.schedules.entities import ScheduleSection

if TYPE_CHECKING:
    from cronsim import CronSim

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_LONGEST_WAIT_DAYS = 366 * 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScheduleInvalid(Invalid):
    """A schedule cannot be as it is declared."""

    code = "schedule_invalid"


@dataclass(frozen=True, slots=True)
class Interval:
    """A data interval, in UTC; the end belongs to the next one."""

    start: datetime
    end: datetime


class Timing(Protocol):
    """A rule by which time is cut."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings later than `moment`, in order, in UTC."""
        ...

    def until(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings up to `moment`, itself included, latest first, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Fires each `every_s` seconds, counted from 1970 in UTC."""

    every_s: int

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings later than `moment`."""
        found = self._last(moment)
        while True:
            found += timedelta(seconds=self.every_s)
            yield found

    def until(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings up to `moment`, latest first."""
        found = self._last(moment)
        while True:
            yield found
            found -= timedelta(seconds=self.every_s)

    def _last(self, moment: datetime) -> datetime:
        return moment - (moment - _EPOCH) % timedelta(seconds=self.every_s)


@dataclass(frozen=True, slots=True)
class Cron:
    """Fires where an expression matches the clock of a time zone."""

    expression: str
    zone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings later than `moment`."""
        first = moment.astimezone(ZoneInfo(self.zone)).date() - _DAY
        last = moment
        for day in (first + n * _DAY for n in range(_LONGEST_WAIT_DAYS)):
            for found in _firings(self.expression, self.zone, day):
                if found > last:  # two days meet where a zone skipped one
                    yield found
                    last = found

    def until(self, moment: datetime) -> Iterator[datetime]:
        """Give the firings up to `moment`, latest first."""
        first = moment.astimezone(ZoneInfo(self.zone)).date() + _DAY
        last = moment + timedelta(microseconds=1)
        for day in (first - n * _DAY for n in range(_LONGEST_WAIT_DAYS)):
            for found in reversed(_firings(self.expression, self.zone, day)):
                if found < last:
                    yield found
                    last = found


def timing_of(section: ScheduleSection) -> Timing:
    """Give the rule of a schedule that runs by the clock.

    Raises
    ------
    ScheduleInvalid
        If its expression or time zone cannot be read; the message names it.
    """
    if section.every_s is not None:
        return Every(section.every_s)
    _check_zone(section.timezone)
    _parsed(section.cron or "")
    return Cron(section.cron or "", section.timezone)


def interval_at(timing: Timing, moment: datetime) -> Interval:
    """Give the interval that a moment falls in.

    Raises
    ------
    ScheduleInvalid
        If the rule does not fire within twelve years before or after.

    Examples
    --------
    >>> found = interval_at(Cron("0 3 * * *", "Europe/Berlin"), datetime(2026, 3, 29, 12, tzinfo=UTC))
    >>> found.start.isoformat(), found.end.isoformat()
    ('2026-03-29T01:00:00+00:00', '2026-03-30T01:00:00+00:00')
    """
    start, end = next(timing.until(moment), None), next(timing.after(moment), None)
    if start is None or end is None:
        raise ScheduleInvalid(f"A schedule does not fire within twelve years of {moment:%Y-%m-%d}")
    return Interval(start, end)


def newest_ended(timing: Timing, now: datetime, *, since: datetime, limit: int) -> list[Interval]:
    """Give the newest intervals that have ended by `now` and began from `since` on, in order; at most `limit`."""
    found: list[Interval] = []
    for end, start in pairwise(timing.until(now)):
        if start < since or len(found) == limit:
            break
        found.append(Interval(start, end))
    return found[::-1]


def intervals_between(timing: Timing, start: datetime, end: datetime, *, limit: int) -> list[Interval]:
    """Give the intervals that begin from `start` on and have ended by `end`, in order; at most `limit`."""
    firings = timing.after(start - timedelta(microseconds=1))
    cut = (Interval(*bounds) for bounds in pairwise(firings))
    found: list[Interval] = []
    for interval in islice(cut, limit):
        if interval.end > end:
            break
        found.append(interval)
    return found


@functools.lru_cache(maxsize=64)
def _firings(expression: str, zone: str, day: date) -> tuple[datetime, ...]:
    """Give the firings of one day of a zone's calendar, in order."""
    cron = _parsed(expression)
    if day.month not in cron.months or not cron.match_day(day):
        return ()
    info = ZoneInfo(zone)
    walls = [datetime.combine(day, time(hour, minute)) for hour in cron.hours for minute in cron.minutes]
    if cron.parts[1].startswith("*") or cron.parts[2].startswith("*"):
        found = {moment for wall in walls for moment in _moments(wall, info)}
    else:
        found = {_first_moment(wall, info) for wall in walls}
    return tuple(sorted(found))


def _moments(wall: datetime, zone: ZoneInfo) -> set[datetime]:
    """Give the moments at which a wall clock shows a time: one, none in a gap, two where it is put back."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return {found for found in moments if found.astimezone(zone).replace(tzinfo=None) == wall}


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    while not (found := _moments(wall, zone)):
        wall += _MINUTE
    return min(found)


@functools.lru_cache(maxsize=64)
def _parsed(expression: str) -> CronSim:
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        raise ScheduleInvalid(
            f"`{expression}` has {len(expression.split())} fields",
            hint="`cron` has five: minute, hour, day of the month, month, day of the week; for seconds use `every_s`",
        )
    try:
        return CronSim(expression, _EPOCH)
    except CronSimError as error:
        raise ScheduleInvalid(
            f"`{expression}` is not a time of `cron`: {str(error).lower()}", hint="Such as `0 3 * * MON-FRI`"
        ) from error


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        from zoneinfo import available_timezones

        close = near(name, available_timezones())
        hint = f"Did you mean `{close}`?" if close else "Such as `Europe/Berlin`"
        raise ScheduleInvalid(f"`{name}` is not a time zone", hint=hint) from error
