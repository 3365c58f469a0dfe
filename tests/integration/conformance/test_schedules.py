"""What the service of schedules promises: each interval once, whoever looks and whatever the clock does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.errors import Forbidden, Invalid, NotFound
from noria.core.objects.references import ObjectNotInProject
from noria.core.permissions import Principal, Role
from noria.pipelines.job_entities import JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.course import KEPT, forget, look
from noria.pipelines.schedules.entities import (
    Cause,
    NewBackfill,
    NewSchedules,
    Overlap,
    RunState,
    ScheduleRun,
    ScheduleSection,
    ScheduleStatus,
    Trigger,
)
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.schedules.timing import ScheduleInvalid
from support.conformance import Services

PROJECT = "default"
START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
W = WorkerInfo(name="w")


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the tests move."""
    return ManualClock(START)


def spec(**more: Any) -> ScheduleSection:
    given = {"name": "minutely", "run": "noria.x:y", "every_s": 60, "params": {"start": "{interval_start}"}}
    return ScheduleSection(**{**given, **more})


def apply(schedules: Schedules, **more: Any) -> None:
    schedules.apply(PROJECT, NewSchedules(schedules=[spec(**more)]))


def runs(schedules: Schedules, cause: Cause | None = None) -> list[ScheduleRun]:
    """Give the runs in the order in which they were put on record."""
    found = schedules.history(PROJECT, "minutely", limit=1000).items[::-1]
    return [run for run in found if cause is None or run.cause is cause]


def work(context: Context, status: JobStatus = JobStatus.SUCCEEDED) -> int:
    """Do all that workers and the control loop find to do; give how many jobs there were."""
    jobs, n_jobs = Jobs(context), 0
    while True:
        look(context)
        claimed = jobs.claim(W).claimed
        if claimed is None:
            return n_jobs
        n_jobs += 1
        outcome = Outcome(worker="w", attempt=claimed.job.attempt, status=status)
        jobs.finish(claimed.job.project, claimed.job.id, outcome)


@pytest.mark.parametrize("transport", ["in_process"])
def test_an_interval_runs_once_after_its_end(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """However many look at the same moment, an interval gets one run and one job, with its bounds as parameters."""
    schedules = services(Schedules)
    apply(schedules)
    look(context)
    before = runs(schedules)
    clock.advance(30)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: look(context), range(8)))
    (run,) = runs(schedules)
    (job,) = services(Jobs).list(PROJECT).items

    assert before == []
    assert (run.state, run.cause, run.job_id) == (RunState.RUNNING, Cause.INTERVAL, job.id)
    assert (run.interval_start, run.interval_end) == (
        START - timedelta(seconds=30),
        START + timedelta(seconds=30),
    )
    assert job.args["params"] == {"start": "2026-03-01T12:00:00+00:00"}
    assert work(context) == 1
    assert runs(schedules)[0].state is RunState.SUCCEEDED


@pytest.mark.parametrize(("database_kind", "transport"), [("sqlite", "in_process")])
def test_what_was_missed_is_caught_up_as_far_as_asked(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """When a server is up again, the newest intervals run in order, and the time before is on record as passed over."""
    schedules = services(Schedules)
    apply(schedules, catchup=3)
    clock.advance(600)
    assert work(context) == 3
    missed, *caught = runs(schedules)

    assert (missed.cause, missed.state) == (Cause.MISSED, RunState.SKIPPED)
    assert (missed.interval_start, missed.interval_end) == (START - MINUTE / 2, START + 6.5 * MINUTE)
    starts = [run.interval_start for run in caught]
    assert starts == [START + (6.5 + n) * MINUTE for n in range(3)]
    assert all(run.state is RunState.SUCCEEDED for run in caught)
    apply(schedules, catchup=0)
    clock.advance(600)
    assert work(context) == 1  # the one that ended half a minute ago
    clock.advance(89)
    assert work(context) == 1


@pytest.mark.parametrize(("database_kind", "transport"), [("sqlite", "in_process")])
@pytest.mark.parametrize("catchup", [0, 1, 3, 7, 30])
def test_a_week_that_was_missed_is_caught_up_by_the_rule(
    services: Services, context: Context, clock: ManualClock, catchup: int
) -> None:
    """Of a nightly batch the newest nights run once, and the others are told, though clocks were set forward.

    Each night is an interval from one three o'clock of the place to the next, that of the change one hour shorter.
    """
    oslo, schedules = ZoneInfo("Europe/Oslo"), services(Schedules)
    clock.advance((datetime(2026, 3, 24, 12, tzinfo=oslo) - START).total_seconds())
    apply(schedules, every_s=None, cron="0 3 * * *", timezone="Europe/Oslo", catchup=catchup)
    clock.advance((datetime(2026, 3, 31, 12, tzinfo=oslo) - clock.now()).total_seconds())
    assert [work(context), work(context)] == [min(catchup, 7), 0]
    found = runs(schedules)

    nights = [datetime(2026, 3, 24, 3, tzinfo=oslo) + timedelta(days=n) for n in range(8)]
    caught = [run for run in found if run.cause is Cause.INTERVAL]
    n_missed = 7 - len(caught)
    assert [(run.interval_start, run.interval_end) for run in caught] == list(pairwise(nights))[n_missed:]
    assert all(run.state is RunState.SUCCEEDED for run in caught)
    missed = [run for run in found if run.cause is Cause.MISSED]
    assert [(run.interval_start, run.interval_end, run.state) for run in missed] == [
        (nights[0], nights[n_missed], RunState.SKIPPED)
    ] * bool(n_missed)
    clock.advance(86_400)
    assert work(context) == (1 if catchup else 0)  # with 0 none that ended more than a minute ago


@pytest.mark.parametrize(("database_kind", "transport"), [("sqlite", "in_process")])
def test_a_clock_that_jumps_runs_nothing_twice(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """Set forward and back again, the clock leads to no second run of an interval, and the schedule goes on."""
    schedules = services(Schedules)
    apply(schedules)
    clock.advance(60)
    assert work(context) == 1
    clock.advance(10 * 366 * 86_400)
    assert work(context) == 1
    clock.advance(-10 * 366 * 86_400 - 60)
    assert work(context) == 0
    clock.advance(180)
    assert work(context) == 1
    clock.advance(60)
    assert work(context) == 1

    keys = [run.key for run in runs(schedules)]
    assert len(keys) == len(set(keys))
    assert len(runs(schedules, Cause.INTERVAL)) == 4


@pytest.mark.parametrize(("database_kind", "transport"), [("sqlite", "in_process")])
@pytest.mark.parametrize("overlap", list(Overlap))
def test_a_run_that_lasts_longer_than_its_interval(
    services: Services, context: Context, clock: ManualClock, overlap: Overlap
) -> None:
    """Its successor is skipped, waits, replaces it or runs beside it, as the schedule says."""
    schedules, jobs = services(Schedules), Jobs(context)
    apply(schedules, overlap=overlap)
    claims = []
    for _ in range(3):
        clock.advance(60)
        look(context)
        claims.append(jobs.claim(W).claimed)
    states = [run.state for run in runs(schedules)]
    first = claims[0]
    assert first is not None
    cancelled = jobs.get(PROJECT, first.job.id).cancel_requested
    status = JobStatus.CANCELLED if cancelled else JobStatus.SUCCEEDED
    jobs.finish(PROJECT, first.job.id, Outcome(worker="w", attempt=1, status=status))
    look(context)
    later = [run.state for run in runs(schedules)]

    running, waiting, skipped = RunState.RUNNING, RunState.WAITING, RunState.SKIPPED
    expected = {
        Overlap.SKIP: [[running, skipped, skipped], [RunState.SUCCEEDED, skipped, skipped]],
        Overlap.QUEUE: [[running, waiting, waiting], [RunState.SUCCEEDED, running, waiting]],
        Overlap.CANCEL: [[running, skipped, waiting], [RunState.CANCELLED, skipped, running]],
        Overlap.ALLOW: [[running, running, running], [RunState.SUCCEEDED, running, running]],
    }
    assert [states, later] == expected[overlap]
    assert cancelled is (overlap is Overlap.CANCEL)


def test_a_backfill_runs_what_has_not_succeeded(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """Its intervals are on record at once, run a few at a time beside the schedule, and those that succeeded stay."""
    schedules = services(Schedules)
    apply(schedules, catchup=2)
    clock.advance(60)
    assert work(context) == 1
    clock.advance(60)
    assert work(context, JobStatus.FAILED) == 1
    new = NewBackfill(start=START - 2.5 * MINUTE, end=START + 60 * MINUTE, at_once=2)
    begun = schedules.backfill(PROJECT, "minutely", new)
    look(context)
    during = schedules.get_backfill(PROJECT, "minutely", begun.id)
    assert work(context) == 3
    done = schedules.get_backfill(PROJECT, "minutely", begun.id)

    assert begun.counts == {"waiting": 3}  # two that never ran, and the one that failed
    assert during.counts == {"running": 2, "waiting": 1}
    assert done.counts == {"succeeded": 3}
    again = [run for run in runs(schedules) if run.attempt == 2]
    assert [(run.interval_start, run.state) for run in again] == [(START + 0.5 * MINUTE, RunState.SUCCEEDED)]
    far = NewBackfill(start=START - timedelta(days=2), end=START)
    with pytest.raises(Invalid, match="more than 1000 intervals"):
        schedules.backfill(PROJECT, "minutely", far)
    with pytest.raises(Invalid, match="No interval"):
        schedules.backfill(PROJECT, "minutely", NewBackfill(start=START, end=START))
    second = schedules.backfill(PROJECT, "minutely", NewBackfill(start=new.start, end=new.end, again=True))
    stopped = schedules.stop_backfill(PROJECT, "minutely", second.id)
    assert (second.counts, stopped.counts) == ({"waiting": 4}, {"cancelled": 4})


def test_people_steer_a_schedule(services: Services, context: Context, clock: ManualClock) -> None:
    """Paused it starts nothing, resumed it goes on with the present, and a person runs it or an interval by hand."""
    schedules = services(Schedules)
    apply(schedules)
    schedules.pause(PROJECT, "minutely")
    clock.advance(600)
    assert work(context) == 0
    resumed = schedules.resume(PROJECT, "minutely")
    assert (resumed.status, resumed.next_start) == (ScheduleStatus.ACTIVE, START + 9.5 * MINUTE)
    by_hand = schedules.run(PROJECT, "minutely")
    of_past = schedules.run(PROJECT, "minutely", interval=START)
    assert work(context) == 2
    again = schedules.run(PROJECT, "minutely", interval=START)
    assert work(context) == 1

    assert (by_hand.interval_start, by_hand.interval_end) == (START + 8.5 * MINUTE, START + 9.5 * MINUTE)
    assert (of_past.id, of_past.attempt, again.attempt) == (again.id, 1, 2)
    hook = schedules.hook(PROJECT, "minutely")
    assert (hook.path, hook.secret[:6]) == ("/hooks/default/minutely", "whsec_")
    assert hook.secret != hook.notice_secret
    schedules.pause(PROJECT, "minutely")
    schedules.run(PROJECT, "minutely", interval=START)
    assert work(context) == 1  # asked for by a person, it runs all the same
    schedules.run(PROJECT, "minutely")
    schedules.delete(PROJECT, "minutely")
    clock.advance(600)
    assert work(context) == 0
    with pytest.raises(NotFound):
        schedules.get(PROJECT, "minutely")
    apply(schedules)
    assert runs(schedules)[-1].reason == "the schedule was removed"
    clock.advance(KEPT.total_seconds())
    assert forget(context) == 3
    assert runs(schedules) == []
    assert services(Jobs).list(PROJECT).items == []


def test_declarations_are_taken_over_as_a_whole(services: Services, clock: ManualClock) -> None:
    """Applying says what changed, keeps the place where the times stay, and removes others only when asked."""
    schedules = services(Schedules)
    apply(schedules)
    due = schedules.get(PROJECT, "minutely").next_due
    clock.advance(600)
    both = [spec(params={}), spec(name="hourly", cron="0 * * * *", every_s=None)]

    def changes(new: NewSchedules) -> dict[str, str]:
        return {item.name: item.change for item in schedules.apply(PROJECT, new).items}

    assert changes(NewSchedules(schedules=both)) == {"minutely": "changed", "hourly": "new"}
    assert schedules.get(PROJECT, "minutely").next_due == due
    assert changes(NewSchedules(schedules=both[1:])) == {"hourly": "same", "minutely": "kept"}
    assert changes(NewSchedules(schedules=both[1:], prune=True)) == {"hourly": "same", "minutely": "removed"}
    assert [found.name for found in schedules.list(PROJECT).items] == ["hourly"]


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"run": "flows:train"}, "comes without code"),
        ({"cron": "0 3 * * *"}, "both `cron` and `every_s`"),
        ({"every_s": None, "cron": "61 * * * *"}, "bad minute"),
        ({"every_s": None, "cron": "* * * * * *"}, "has 6 fields"),
        ({"every_s": None, "cron": "0 3 * * *", "timezone": "Europe/Berln"}, "is not a time zone"),
        ({"every_s": None}, "has nothing that starts it"),
        ({"name": "a/b"}, "is not a name for a schedule"),
        ({"on": Trigger(event="model.alias_mved")}, "starts no schedule"),
        ({"on": Trigger(dataset="sales", webhook=True)}, "names `dataset` and `webhook`"),
        ({"on": Trigger(schedule="minutely")}, "waits for itself"),
        ({"every_s": None, "on": Trigger(webhook=True)}, "nothing runs it by the clock"),
        ({"notify": ("ana@example.org",)}, "is nothing that a notice can be sent to"),
    ],
)
def test_what_cannot_run_is_refused(context: Context, wrong: dict[str, Any], said: str) -> None:
    """The message names what is wrong, and nothing of the declaration is taken over."""
    schedules = Schedules(context)
    with pytest.raises(Invalid, match=said):
        schedules.apply(PROJECT, NewSchedules(schedules=[spec(name="good"), spec(**wrong)]))
    assert schedules.list(PROJECT).items == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_schedule_acts_as_who_applied_it(context: Context, clock: ManualClock) -> None:
    """Viewers bind no code, nor is code bound that the project lacks, and who lost their rights starts nothing."""
    viewer = Principal(name="ana", role=Role.VIEWER, holds_key=True)
    with pytest.raises(Forbidden):
        context.acting_as(viewer).guarded(Schedules).apply(PROJECT, NewSchedules(schedules=[spec()]))
    unknown = NewSchedules(schedules=[spec(run="a:b")], snapshot="blake3:" + "0" * 64)
    with pytest.raises(ObjectNotInProject):
        Schedules(context).apply(PROJECT, unknown)
    gone = Principal(name="bea", role=Role.SCIENTIST, holds_key=True)
    apply(Schedules(context.acting_as(gone)))
    clock.advance(60)
    look(context)
    (run,) = runs(Schedules(context))

    assert run.state is RunState.FAILED
    assert "`bea`, who applied the schedule" in (run.reason or "")
    assert Schedules(context).get(PROJECT, "minutely").n_failures == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_schedules_do_not_wait_in_a_circle(context: Context) -> None:
    """Schedules that would start one another for ever are refused, and the message has the circle."""

    def after(name: str, other: str) -> ScheduleSection:
        return spec(name=name, every_s=None, params={}, on=Trigger(schedule=other))

    with pytest.raises(ScheduleInvalid, match="`a` → `b` → `a`"):
        Schedules(context).apply(PROJECT, NewSchedules(schedules=[after("a", "b"), after("b", "a")]))
