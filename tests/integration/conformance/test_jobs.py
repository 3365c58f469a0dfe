"""What the service of jobs promises to those who submit them and to workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from noria.access.authentication import authenticate
from noria.access.projects import NewProject, Projects
from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict, ErrorBody, Forbidden, Invalid, NotFound
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import Objects
from noria.core.permissions import Principal, Role
from noria.pipelines.job_entities import (
    Beat,
    ClaimedJob,
    Job,
    JobSection,
    JobStatus,
    LogLine,
    LogLines,
    NewJob,
    Outcome,
    WorkerInfo,
)
from noria.pipelines.job_rows import LEASE_S, LeaseLost, requeue_expired
from noria.pipelines.service import Jobs
from support.conformance import Services

PROJECT = "default"
NEW = NewJob(entry="noria.pipelines.jobs_entry:run_pipeline_job", args={"n": 1})
ONE, TWO = WorkerInfo(name="one"), WorkerInfo(name="two")


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the tests move, for leases and pauses."""
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


def claim(jobs: Jobs, worker: WorkerInfo = ONE) -> ClaimedJob:
    claimed = jobs.claim(worker).claimed
    assert claimed is not None
    return claimed


def outcome(
    job: Job, status: JobStatus = JobStatus.SUCCEEDED, *, worker: str = "one", **more: object
) -> Outcome:
    return Outcome(worker=worker, attempt=job.attempt, status=status, **more)  # type: ignore[arg-type]


def test_a_job_goes_from_the_queue_to_its_result(services: Services) -> None:
    """A submitted job is claimed once, and ends with what its function returned."""
    jobs = services(Jobs)
    submitted = jobs.submit(PROJECT, NEW)
    running = claim(jobs).job
    ended = jobs.finish(PROJECT, running.id, outcome(running, result={"run_id": "r"}))

    assert (submitted.status, submitted.attempt) == (JobStatus.QUEUED, 0)
    assert (running.id, running.status, running.attempt) == (submitted.id, JobStatus.RUNNING, 1)
    assert running.claimed_by == "one"
    assert (ended.status, ended.result, ended.error) == (JobStatus.SUCCEEDED, {"run_id": "r"}, None)
    assert jobs.get(PROJECT, submitted.id) == ended
    assert jobs.claim(TWO).claimed is None


def test_jobs_are_claimed_in_order_and_by_one_worker_each(services: Services) -> None:
    """Workers that ask at once get different jobs, the oldest first."""
    jobs = services(Jobs)
    submitted = [jobs.submit(PROJECT, NEW).id for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda n: jobs.claim(WorkerInfo(name=f"w{n}")).claimed, range(8)))

    assert sorted(c.job.id for c in claims if c is not None) == sorted(submitted)
    assert sum(c is None for c in claims) == 2


def test_a_key_makes_a_job_once(services: Services) -> None:
    """A second job of the same key is the first one, also after it has ended."""
    jobs = services(Jobs)
    new = NewJob(entry=NEW.entry, key="window:7")
    first = jobs.submit(PROJECT, new)
    running = claim(jobs).job
    jobs.finish(PROJECT, running.id, outcome(running))
    again = jobs.submit(PROJECT, new)
    services(Projects).create(NewProject(name="energy"))
    elsewhere = jobs.submit("energy", new)

    assert again.id == first.id
    assert again.status is JobStatus.SUCCEEDED
    assert elsewhere.id != first.id


def test_a_lost_worker_gives_the_job_back(services: Services, context: Context, clock: ManualClock) -> None:
    """A job whose lease is over goes back to the queue after a pause; the lost worker's word counts no more."""
    jobs = services(Jobs)
    jobs.submit(PROJECT, NEW)
    lost = claim(jobs).job
    clock.advance(LEASE_S + 1)
    assert requeue_expired(context) == 1
    too_early = jobs.claim(TWO).claimed
    clock.advance(1)
    again = claim(jobs, TWO).job

    assert too_early is None
    assert (again.id, again.attempt, again.claimed_by) == (lost.id, 2, "two")
    with pytest.raises(LeaseLost):
        jobs.finish(PROJECT, lost.id, outcome(lost))
    with pytest.raises(LeaseLost):
        jobs.heartbeat(PROJECT, lost.id, Beat(worker="one", attempt=1))
    with pytest.raises(LeaseLost):
        jobs.log(PROJECT, lost.id, LogLines(worker="one", attempt=1, lines=[]))
    assert jobs.finish(PROJECT, again.id, outcome(again, worker="two")).status is JobStatus.SUCCEEDED


def test_heartbeats_keep_a_job(services: Services, context: Context, clock: ManualClock) -> None:
    """A worker that gives signs of life keeps its job for longer than one lease."""
    jobs = services(Jobs)
    jobs.submit(PROJECT, NEW)
    job = claim(jobs).job
    for _ in range(4):
        clock.advance(LEASE_S * 0.6)
        jobs.heartbeat(PROJECT, job.id, Beat(worker="one", attempt=1))
        assert requeue_expired(context) == 0

    assert jobs.get(PROJECT, job.id).status is JobStatus.RUNNING


def test_attempts_end(services: Services, context: Context, clock: ManualClock) -> None:
    """A job whose workers are lost again and again fails, and says why."""
    jobs = services(Jobs)
    job = jobs.submit(PROJECT, NewJob(entry=NEW.entry, max_attempts=2))
    for _ in range(2):
        claim(jobs)
        clock.advance(LEASE_S + 1)
        requeue_expired(context)
        clock.advance(60)
    ended = jobs.get(PROJECT, job.id)

    assert (ended.status, ended.attempt) == (JobStatus.FAILED, 2)
    assert ended.error is not None
    assert ended.error.code == "worker_lost"
    assert jobs.claim(ONE).claimed is None


def test_only_what_may_help_is_tried_again(services: Services, clock: ManualClock) -> None:
    """An error that trying again may mend sends the job back to the queue; any other ends it."""
    jobs = services(Jobs)
    error = ErrorBody(code="unavailable", message="away")
    jobs.submit(PROJECT, NEW)
    first = claim(jobs).job
    back = jobs.finish(PROJECT, first.id, outcome(first, JobStatus.FAILED, error=error, retry=True))
    clock.advance(60)
    second = claim(jobs).job
    ended = jobs.finish(PROJECT, second.id, outcome(second, JobStatus.FAILED, error=error))

    assert (back.status, back.error) == (JobStatus.QUEUED, error)
    assert (ended.status, ended.attempt, ended.error) == (JobStatus.FAILED, 2, error)


def test_an_outcome_told_twice_is_taken_once(services: Services) -> None:
    """A worker whose request was cut off says its outcome again and gets the same answer."""
    jobs = services(Jobs)
    jobs.submit(PROJECT, NEW)
    job = claim(jobs).job

    assert jobs.finish(PROJECT, job.id, outcome(job, result=1)) == jobs.finish(
        PROJECT, job.id, outcome(job, result=1)
    )


def test_a_queued_job_is_cancelled_at_once(services: Services) -> None:
    """A cancelled job in the queue is given to nobody; one that has ended cannot be cancelled."""
    jobs = services(Jobs)
    job = jobs.submit(PROJECT, NEW)
    cancelled = jobs.cancel(PROJECT, job.id)

    assert cancelled.status is JobStatus.CANCELLED
    assert jobs.claim(ONE).claimed is None
    with pytest.raises(Conflict, match="cancelled"):
        jobs.cancel(PROJECT, job.id)


def test_a_running_job_is_cancelled_by_its_worker(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """The worker learns of it at its next heartbeat and ends the job; if it is lost, the lease's end does."""
    jobs = services(Jobs)
    first, second = jobs.submit(PROJECT, NEW), jobs.submit(PROJECT, NEW)
    claim(jobs)
    claim(jobs, TWO)
    before = jobs.heartbeat(PROJECT, first.id, Beat(worker="one", attempt=1))
    asked = jobs.cancel(PROJECT, first.id)
    jobs.cancel(PROJECT, second.id)
    after = jobs.heartbeat(PROJECT, first.id, Beat(worker="one", attempt=1))
    ended = jobs.finish(PROJECT, first.id, outcome(asked, JobStatus.CANCELLED))
    clock.advance(LEASE_S + 1)
    requeue_expired(context)

    assert (before.cancel, after.cancel) == (False, True)
    assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
    assert ended.status is JobStatus.CANCELLED
    assert jobs.get(PROJECT, second.id).status is JobStatus.CANCELLED


def test_log_lines_come_back_in_order(services: Services, clock: ManualClock) -> None:
    """Lines are read from where the reader stopped; very long ones are cut."""
    jobs = services(Jobs)
    job = jobs.submit(PROJECT, NEW)
    claim(jobs)
    for batch in (["a", "b"], ["c" * 5_000]):
        lines = [LogLine(at=clock.now(), stream="out", text=text) for text in batch]
        jobs.log(PROJECT, job.id, LogLines(worker="one", attempt=1, lines=lines))
    first = jobs.logs(PROJECT, job.id, limit=2)
    second = jobs.logs(PROJECT, job.id, after=first.next)
    third = jobs.logs(PROJECT, job.id, after=second.next)

    assert [line.text for line in first.items] == ["a", "b"]
    assert [len(line.text) for line in second.items] == [4_000]
    assert (third.items, third.next) == ([], second.next)


def test_jobs_are_listed_in_pages(services: Services) -> None:
    """Pages follow one another, newest first, also for one status only."""
    jobs = services(Jobs)
    submitted = [jobs.submit(PROJECT, NEW).id for _ in range(4)]
    claim(jobs)
    first = jobs.list(PROJECT, limit=3)
    second = jobs.list(PROJECT, limit=3, before=first.next)
    running = jobs.list(PROJECT, status=JobStatus.RUNNING)

    assert [job.id for job in (*first.items, *second.items)] == submitted[::-1]
    assert second.next is None
    assert [job.id for job in running.items] == submitted[:1]


def test_a_worker_for_some_projects_gets_only_their_jobs(services: Services) -> None:
    """A worker that names projects is given jobs of those alone."""
    services(Projects).create(NewProject(name="energy"))
    jobs = services(Jobs)
    jobs.submit(PROJECT, NEW)

    assert jobs.claim(WorkerInfo(name="w", projects=["energy"])).claimed is None
    assert jobs.claim(WorkerInfo(name="w", projects=["energy", PROJECT])).claimed is not None


def test_the_token_of_a_job_opens_only_what_the_job_may_do(services: Services, context: Context) -> None:
    """Its holder acts in one project with the job's permissions, until the job ends."""
    jobs = services(Jobs)
    jobs.submit(PROJECT, NewJob(entry=NEW.entry, permissions=["captures.read"]))
    claimed = claim(jobs)
    with context.database.read() as connection:
        holder = authenticate(connection, context.clock, claimed.token)
    jobs.finish(PROJECT, claimed.job.id, outcome(claimed.job))
    with context.database.read() as connection:
        afterwards = authenticate(connection, context.clock, claimed.token)

    assert holder is not None
    assert holder.name == f"worker:{claimed.job.id}"
    assert holder.role_in(PROJECT) is Role.ENGINEER
    assert holder.role_in("energy") is None
    assert holder.only is not None
    assert {"runs.write", "captures.read"} <= holder.only
    assert holder.only.isdisjoint({"jobs.submit", "jobs.work", "endpoints.deploy", "tokens.write"})
    assert afterwards is None


def test_a_submitter_cannot_hand_on_what_it_does_not_hold(context: Context) -> None:
    """A narrow token cannot make a job that may do more than the token."""
    narrow = Principal(
        name="n", role=Role.SCIENTIST, holds_key=True, only=frozenset({"jobs.submit", "data.read"})
    )
    jobs = context.acting_as(narrow).service(Jobs)

    with pytest.raises(Forbidden, match=r"endpoints\.deploy"):
        jobs.submit(PROJECT, NewJob(entry=NEW.entry, permissions=["endpoints.deploy"]))
    assert jobs.submit(PROJECT, NewJob(entry=NEW.entry, permissions=["data.read"])).submitted_by == "n"


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (NewJob(entry="os.system"), "`os.system`"),
        (NewJob(entry="flow:main"), "without code"),
        (NewJob(entry=NEW.entry, max_attempts=0), "max_attempts"),
        (NewJob(entry=NEW.entry, timeout_s=0), "timeout_s"),
        (NewJob(entry=NEW.entry, timeout_s=1e9), "timeout_s"),
    ],
)
@pytest.mark.alike
def test_a_job_that_cannot_run_is_refused(services: Services, new: NewJob, told: str) -> None:
    """A job names a function of Noria's own or comes with its code, and its limits are limits."""
    with pytest.raises(Invalid, match=told):
        services(Jobs).submit(PROJECT, new)


def test_the_code_of_a_job_must_be_in_the_project(services: Services) -> None:
    """A snapshot is kept for the job that runs from it, and one that the project does not hold is refused."""
    jobs = services(Jobs)
    info = services(Objects).put(PROJECT, [b"code"])
    job = jobs.submit(PROJECT, NewJob(entry="flow:main", snapshot=info.digest))

    assert job.snapshot == info.digest
    with pytest.raises(ObjectNotInProject):
        jobs.submit(PROJECT, NewJob(entry="flow:main", snapshot="blake3:" + "0" * 64))
    assert len(jobs.list(PROJECT).items) == 1


def test_an_unknown_job_is_not_found(services: Services) -> None:
    """Asking for a job that is not there, or that is another project's, names its id."""
    services(Projects).create(NewProject(name="energy"))
    jobs = services(Jobs)
    job = jobs.submit(PROJECT, NEW)

    for ask in (jobs.get, jobs.cancel, jobs.logs):
        with pytest.raises(NotFound, match=job.id):
            ask("energy", job.id)


def test_workers_take_from_their_queues(services: Services) -> None:
    """A worker gets jobs of its queues alone; one that names none gets every job, the oldest first."""
    jobs = services(Jobs)
    plain = jobs.submit(PROJECT, NEW)
    large = jobs.submit(PROJECT, NewJob(entry=NEW.entry, queue="gpu"))
    small = jobs.submit(PROJECT, NewJob(entry=NEW.entry, queue="small"))

    assert claim(jobs, WorkerInfo(name="g", queues=["gpu"])).job.id == large.id
    assert jobs.claim(WorkerInfo(name="g", queues=["gpu"])).claimed is None
    assert [claim(jobs).job.id for _ in range(2)] == [plain.id, small.id]
    with pytest.raises(Invalid, match="`No queue`"):
        jobs.submit(PROJECT, NewJob(entry=NEW.entry, queue="No queue"))


def test_a_project_runs_no_more_jobs_than_it_may(services: Services, context: Context) -> None:
    """Workers that ask at once do not get more of a project's jobs than its limit; its routine work goes on."""
    limits = JobSection(at_once=2, projects={"energy": 0})
    settings = replace(context.settings, sections={"jobs": limits})
    jobs = Jobs(replace(context, settings=settings))
    services(Projects).create(NewProject(name="energy"))
    held_back = jobs.submit("energy", NEW)
    submitted = [jobs.submit(PROJECT, NEW) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda n: jobs.claim(WorkerInfo(name=f"w{n}")).claimed, range(4)))
    got = [found.job for found in claims if found is not None]

    assert sorted(job.id for job in got) == sorted(job.id for job in submitted[:2])
    routine = jobs.submit(PROJECT, NewJob(entry=NEW.entry, routine=True))
    assert claim(jobs).job.id == routine.id
    ended = got[0]
    jobs.finish(PROJECT, ended.id, outcome(ended, worker=ended.claimed_by or ""))
    assert claim(jobs).job.id == submitted[2].id
    assert jobs.get("energy", held_back.id).status is JobStatus.QUEUED
