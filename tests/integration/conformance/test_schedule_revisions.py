"""What was applied to a schedule is kept, and one revision runs until the schedule is unpinned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict, Forbidden, Invalid, NotFound
from noria.core.events.log import EventLog
from noria.core.events.sealer import assign_positions
from noria.core.objects.references import object_references, record_upload
from noria.core.permissions import Principal, Role
from noria.pipelines.job_entities import JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules import revisions
from noria.pipelines.schedules.course import look
from noria.pipelines.schedules.entities import AppliedSchedule, NewSchedules, ScheduleSection
from noria.pipelines.schedules.revision_entities import PinSchedule
from noria.pipelines.schedules.service import Schedules
from support.conformance import Services

PROJECT, NAME = "default", "hourly"
START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
W = WorkerInfo(name="w")


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the tests move."""
    return ManualClock(START)


def apply(schedules: Schedules, k: int, *, unpin: tuple[str, ...] = (), **more: Any) -> AppliedSchedule:
    spec = ScheduleSection(name=NAME, run="noria.x:y", **{"every_s": 3600, "params": {"k": k}, **more})
    return schedules.apply(PROJECT, NewSchedules(schedules=[spec], unpin=list(unpin))).items[0]


def ran(context: Context, schedules: Schedules, *, run_id: str | None = None) -> dict[str, Any]:
    """Have a schedule run once, by a worker that does nothing; give the parameters of its job."""
    jobs = Jobs(context)
    schedules.run(PROJECT, NAME)
    look(context)
    claimed = jobs.claim(W).claimed
    assert claimed is not None
    result = None if run_id is None else {"run_id": run_id}
    outcome = Outcome(worker="w", attempt=claimed.job.attempt, status=JobStatus.SUCCEEDED, result=result)
    jobs.finish(PROJECT, claimed.job.id, outcome)
    look(context)
    params: dict[str, Any] = claimed.job.args["params"]
    return params


def test_what_was_applied_is_kept(services: Services) -> None:
    """Each apply that changes something, or is done by somebody else, is a revision; the same again is none."""
    schedules = services(Schedules)
    applied = [apply(schedules, k) for k in (1, 1, 2)]
    found = schedules.revisions(PROJECT, NAME).items

    assert [(each.change, each.revision, each.newest) for each in applied] == [
        ("new", 1, 1),
        ("same", 1, 1),
        ("changed", 2, 2),
    ]
    assert [(each.number, each.spec.params["k"], each.is_running) for each in found] == [
        (2, 2, True),
        (1, 1, False),
    ]


def test_a_pinned_schedule_runs_an_earlier_revision_until_it_is_unpinned(
    services: Services, context: Context
) -> None:
    """Its jobs have that revision's parameters, a later apply does not undo it, and unpinned it runs the newest."""
    schedules = services(Schedules)
    apply(schedules, 1)
    apply(schedules, 2)
    first = ran(context, schedules)
    pinned = schedules.pin(PROJECT, NAME, PinSchedule(reason="k = 2 breaks income"))
    second = ran(context, schedules)
    later = apply(schedules, 3)
    third = ran(context, schedules)
    unpinned = schedules.unpin(PROJECT, NAME)
    fourth = ran(context, schedules)

    assert [first, second, third, fourth] == [{"k": 2}, {"k": 1}, {"k": 1}, {"k": 3}]
    assert pinned.pin is not None
    assert (pinned.revision, pinned.newest, pinned.pin.reason) == (1, 2, "k = 2 breaks income")
    assert (later.change, later.revision, later.newest) == ("pinned", 1, 3)
    assert (unpinned.revision, unpinned.pin) == (3, None)
    assert [run.revision for run in schedules.history(PROJECT, NAME).items] == [3, 1, 1, 2]


def test_an_apply_that_names_the_schedule_unpins_it(services: Services) -> None:
    """What is applied with the schedule's name in `unpin` runs at once; a name that is not declared is refused."""
    schedules = services(Schedules)
    apply(schedules, 1)
    apply(schedules, 2)
    schedules.pin(PROJECT, NAME, PinSchedule(to="1"))
    with pytest.raises(Invalid, match="`hourl` is to be unpinned"):
        apply(schedules, 3, unpin=("hourl",))
    applied = apply(schedules, 3, unpin=(NAME,))

    assert (applied.change, applied.revision, applied.newest) == ("changed", 3, 3)
    assert schedules.get(PROJECT, NAME).pin is None


def test_a_revision_is_named_by_a_run_that_was_made_from_it(services: Services, context: Context) -> None:
    """`to` takes the id of a run of the schedule or of its pipeline; unknown ones are told with what is kept."""
    schedules = services(Schedules)
    for k in (1, 2, 3):
        apply(schedules, k)
        ran(context, schedules, run_id=f"{k:032x}")
    of_schedule = schedules.history(PROJECT, NAME).items[-1]

    assert schedules.pin(PROJECT, NAME, PinSchedule(to=of_schedule.id)).revision == 1
    assert schedules.pin(PROJECT, NAME, PinSchedule(to=f"{2:032x}")).revision == 2
    assert of_schedule.run_id == f"{1:032x}"
    with pytest.raises(NotFound, match="keeps no revision `9`"):
        schedules.pin(PROJECT, NAME, PinSchedule(to="9"))
    with pytest.raises(NotFound, match="keeps no revision"):
        schedules.pin(PROJECT, NAME, PinSchedule(to="f" * 32))
    assert schedules.pin(PROJECT, NAME, PinSchedule()).revision == 1
    with pytest.raises(Conflict, match="no earlier revision that differs"):
        schedules.pin(PROJECT, NAME, PinSchedule())


@pytest.mark.parametrize("transport", ["in_process"])
def test_pinning_follows_the_times_of_the_revision_and_is_told(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """A revision with another clock brings its next interval, each move is one event, and asked again it is none."""
    schedules = services(Schedules)
    apply(schedules, 1)
    hourly = schedules.get(PROJECT, NAME).next_due
    apply(schedules, 1, every_s=60)
    minutely = schedules.get(PROJECT, NAME).next_due
    pinned = schedules.pin(PROJECT, NAME, PinSchedule(to="1"))
    schedules.pin(PROJECT, NAME, PinSchedule(to="1"))
    unpinned = schedules.unpin(PROJECT, NAME)
    schedules.unpin(PROJECT, NAME)
    assign_positions(context.database)
    told = [
        (event.type, event.payload["revision"])
        for event in EventLog(context.database).read(0, limit=1000, subject=f"schedule:{NAME}")
        if "pin" in event.type
    ]

    assert hourly != minutely
    assert (pinned.next_due, unpinned.next_due) == (hourly, minutely)
    assert told == [("schedule.pinned", 1), ("schedule.unpinned", 2)]
    assert clock.now() == START


def test_code_stays_as_long_as_its_revision(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of kept revisions is referred to, that of older ones is let go; the one that runs stays."""
    monkeypatch.setattr(revisions, "KEPT_REVISIONS", 2)
    schedules = Schedules(context)
    digests = [f"blake3:{n:064x}" for n in range(5)]

    def applied(number: int) -> None:
        with context.database.write() as connection:
            digest = digests[number]
            record_upload(connection, context.clock, project=PROJECT, digest=digest, size_bytes=1)
        spec = ScheduleSection(name=NAME, run="flows:train", every_s=60)
        schedules.apply(PROJECT, NewSchedules(schedules=[spec], snapshot=digests[number]))

    def held() -> set[str]:
        owner = f"schedule:{schedules.get(PROJECT, NAME).id}"
        query = sa.select(object_references.c.digest).where(object_references.c.owner == owner)
        with context.database.read() as connection:
            return set(connection.execute(query).scalars())

    for number in range(2):
        applied(number)
    schedules.pin(PROJECT, NAME, PinSchedule(to="1"))
    for number in range(2, 5):
        applied(number)
    while_pinned = held()
    schedules.unpin(PROJECT, NAME)
    applied(4)

    assert while_pinned == {digests[0], digests[3], digests[4]}
    assert held() == {digests[3], digests[4]}
    assert schedules.get(PROJECT, NAME).snapshot == digests[4]


def test_a_schedule_that_comes_again_begins_with_a_new_number(context: Context) -> None:
    """Removed with its revisions, a schedule that is applied again is not pinned and gives no number twice."""
    schedules = Schedules(context)
    apply(schedules, 1)
    apply(schedules, 2)
    schedules.pin(PROJECT, NAME, PinSchedule(to="1"))
    schedules.delete(PROJECT, NAME)
    again = apply(schedules, 3)

    assert (again.change, again.revision, schedules.get(PROJECT, NAME).pin) == ("new", 3, None)
    assert [each.number for each in schedules.revisions(PROJECT, NAME).items] == [3]


def test_viewers_pin_nothing(context: Context) -> None:
    """To choose which code runs takes the right to bind code."""
    apply(Schedules(context), 1)
    viewer = context.acting_as(Principal(name="ana", role=Role.VIEWER, holds_key=True))
    with pytest.raises(Forbidden):
        viewer.guarded(Schedules).pin(PROJECT, NAME, PinSchedule(to="1"))
    with pytest.raises(Forbidden):
        viewer.guarded(Schedules).unpin(PROJECT, NAME)
    assert [each.number for each in viewer.guarded(Schedules).revisions(PROJECT, NAME).items] == [1]
