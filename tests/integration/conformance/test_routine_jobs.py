"""Routine jobs leave no trace but their failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from noria.access.audit import Audit
from noria.core.clock import Clock, ManualClock
from noria.core.context import Context
from noria.core.errors import ErrorBody, NotFound
from noria.pipelines.job_entities import JobStatus, NewJob, Outcome, WorkerInfo
from noria.pipelines.job_rows import forget_routine
from noria.pipelines.jobs import Jobs
from support.conformance import Services

ROUTINE = NewJob(entry="noria.monitoring.evaluate:look", routine=True, max_attempts=1)


@pytest.fixture
def clock() -> Clock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def run_one(services: Services, new: NewJob, status: JobStatus) -> str:
    jobs = services(Jobs)
    job = jobs.submit("default", new)
    claimed = jobs.claim(WorkerInfo(name="w")).claimed
    assert claimed is not None
    error = ErrorBody(code="failed", message="no") if status is JobStatus.FAILED else None
    outcome = Outcome(worker="w", attempt=claimed.job.attempt, status=status, error=error)
    jobs.finish("default", job.id, outcome)
    return job.id


def test_only_the_failure_of_routine_work_is_an_event(services: Services) -> None:
    """A look every second would bury the log; one that fails is told."""
    run_one(services, ROUTINE, JobStatus.SUCCEEDED)
    failed = run_one(services, ROUTINE, JobStatus.FAILED)

    told = [
        (e.type, e.subject) for e in services(Audit).events(limit=1000).items if e.type.startswith("job.")
    ]
    assert told == [("job.finished", f"job:{failed}")]


def test_routine_work_is_forgotten_an_hour_after_its_end(services: Services, context: Context) -> None:
    """The table of jobs does not grow with the age of the workspace; other jobs stay."""
    routine = run_one(services, ROUTINE, JobStatus.SUCCEEDED)
    other = run_one(services, NewJob(entry="noria.x:y"), JobStatus.SUCCEEDED)
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(timedelta(minutes=59).total_seconds())
    early = forget_routine(context)
    context.clock.advance(timedelta(minutes=2).total_seconds())
    late = forget_routine(context)

    assert (early, late) == (0, 1)
    assert services(Jobs).get("default", other).id == other
    with pytest.raises(NotFound):
        services(Jobs).get("default", routine)
