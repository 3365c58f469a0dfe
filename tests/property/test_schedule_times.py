"""When schedules fire, compared with a look at each minute of the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from noria.pipelines.schedules.timing import Cron, Every, intervals_between, newest_ended

MINUTE = timedelta(minutes=1)
# Zone and a day around which its clocks are changed: by an hour at night and at midnight, by half an hour, by a day.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 17, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 5, 1, tzinfo=UTC)),
]
FIELDS = {
    "minute": st.sampled_from(["*", "*/7", "0", "30", "0,15,59", "10-20"]),
    "hour": st.sampled_from(["*", "*/3", "0", "1", "2", "3", "0-4", "1,2,23"]),
    "day": st.sampled_from(["*", "1-15", "29,30", "4"]),
    "weekday": st.sampled_from(["*", "0", "1-5", "6,7"]),
}
EXPRESSIONS = st.builds("{minute} {hour} {day} * {weekday}".format, **FIELDS)


def values(field: str, top: int) -> set[int]:
    """Read a field: a list of numbers, ranges and steps."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        bounds = (0, top) if span == "*" else (int(low), int(high or low))
        found |= set(range(bounds[0], bounds[1] + 1, int(step or 1)))
    return found


def brute_force(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Walk through the minutes in UTC and read the clock on the wall at each."""
    minute, hour, day, _, weekday = expression.split()
    minutes, hours, days = values(minute, 59), values(hour, 23), values(day, 31)
    weekdays = {number % 7 for number in values(weekday, 7)}

    def is_meant(wall: datetime) -> bool:
        of_month, of_week = wall.day in days, wall.isoweekday() % 7 in weekdays
        fits = of_month and of_week if "*" in (day, weekday) else of_month or of_week
        return fits and wall.minute in minutes and wall.hour in hours

    by_wall = minute.startswith("*") or hour.startswith("*")
    seen: set[datetime] = set()
    found: list[datetime] = []
    now = start - timedelta(days=2)
    before = (now - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    while now < end:
        wall = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        passed = [wall]
        while not by_wall and passed[-1] - MINUTE > before and wall > before:
            passed.append(passed[-1] - MINUTE)  # times in a gap are made up for after it
        meant = [time for time in passed if is_meant(time) and (by_wall or time not in seen)]
        seen.update(passed)
        if meant and now >= start:
            found.append(now)
        before, now = max(before, wall) if not by_wall else wall, now + MINUTE
    return found


@settings(max_examples=25)
@given(expression=EXPRESSIONS, change=st.sampled_from(CHANGES))
@example(expression="30 2 * * *", change=CHANGES[0])
@example(expression="30,45 2 * * *", change=CHANGES[0])
@example(expression="30 2 * * *", change=CHANGES[1])
@example(expression="*/7 2 * * *", change=CHANGES[1])
@example(expression="0 0 * * *", change=CHANGES[5])
@example(expression="30 * * * *", change=CHANGES[4])
@example(expression="0 3 * * *", change=CHANGES[7])
def test_schedules_fire_when_the_wall_clock_says_so(expression: str, change: tuple[str, datetime]) -> None:
    """Forwards and backwards, firings around a change of clocks are those that a look at each minute finds."""
    zone, day = change
    start, end = day - timedelta(days=1), day + timedelta(days=2)
    cron = Cron(expression, zone)
    expected = brute_force(expression, zone, start, end)

    forwards = list(takewhile(lambda at: at < end, cron.after(start - MINUTE / 2)))
    backwards = list(takewhile(lambda at: at >= start, cron.until(end - MINUTE / 2)))
    assert forwards == expected
    assert backwards == expected[::-1]


@given(
    every_s=st.integers(1, 100_000),
    now=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds the zone
    limit=st.integers(0, 20),
    age=st.integers(0, 50),
)
def test_intervals_lie_side_by_side(every_s: int, now: datetime, limit: int, age: int) -> None:
    """The newest intervals that have ended are the last of all that have, without a gap, and never more than asked."""
    timing = Every(every_s)
    since = next(timing.until(now - timedelta(seconds=every_s * age)))
    everything = intervals_between(timing, since, now, limit=1000)
    found = newest_ended(timing, now, since=since, limit=limit)

    assert found == (everything[-limit:] if limit else [])
    assert all(one.end == two.start for one, two in pairwise(everything))
    assert len(everything) == age
    assert all(interval.end <= now for interval in everything)
