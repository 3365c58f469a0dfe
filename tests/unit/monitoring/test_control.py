"""When the control loop asks for a look."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import ErrorBody
from noria.core.workspace import InProcess, Workspace
from noria.monitoring.control import CHORES, ask_for_looks
from noria.monitoring.entities import Cutting, Look, MonitorSection, Window
from noria.monitoring.service import Monitors
from noria.pipelines.job_entities import Job, JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel
from noria.serving.service import Captures, Endpoints
from support.conformance import open_test_context, workspace_settings
from support.serving import predictions, register_version

WINDOW = 20


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with the endpoints `busy` and `calm`."""
    sections = {"monitors": MonitorSection(window_rows=WINDOW, drift_psi=0.5)}
    settings = dataclasses.replace(workspace_settings(tmp_path / "workspace"), sections=sections)
    with open_test_context(settings, ManualClock(datetime(2030, 1, 1, tzinfo=UTC))) as opened:
        workspace = Workspace(settings, InProcess(opened), opened.clock)
        register_version(workspace)
        for name in ("busy", "calm"):
            opened.service(Endpoints).deploy("default", name, Deployment(model="digits", version=1))
        yield opened


def capture(context: Context, endpoint: str, n: int) -> None:
    seen = context.service(Captures).head("default", endpoint).position
    sent = predictions([f"{endpoint}-{seen}-{number}" for number in range(n)])
    context.service(Captures).append("default", endpoint, CaptureBatch(predictions=sent))


def jobs(context: Context) -> list[Job]:
    return context.service(Jobs).list("default").items[::-1]


def asked(context: Context) -> list[str]:
    """Have the chore done, and give the endpoints of all jobs so far."""
    ask_for_looks(context)
    return [job.args["endpoint"] for job in jobs(context)]


def take_in(context: Context, endpoint: str) -> None:
    """Move a monitor to where its endpoint stands, as a look would."""
    monitor = context.service(Monitors).get("default", endpoint)
    head = context.service(Captures).head("default", endpoint)
    moved = Look(
        from_position=monitor.position,
        from_label_position=monitor.label_position,
        position=head.position,
        label_position=head.label_position,
        version=1,
        windows=[],
        detector=None,
        quality=None,
        alerts=[],
    )
    context.service(Monitors).record("default", endpoint, moved)
    end_looks(context)


def end_looks(context: Context, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    """Be the worker that takes the looks that were asked for, and ends them."""
    service = context.service(Jobs)
    while (claimed := service.claim(WorkerInfo(name="w")).claimed) is not None:
        error = ErrorBody(code="failed", message="no") if status is JobStatus.FAILED else None
        outcome = Outcome(worker="w", attempt=claimed.job.attempt, status=status, error=error)
        service.finish("default", claimed.job.id, outcome)


def test_every_endpoint_is_watched(context: Context) -> None:
    """From its deployment on, without being asked."""
    ask_for_looks(context)

    assert [m.endpoint for m in context.service(Monitors).list("default").items] == ["busy", "calm"]
    assert jobs(context) == []
    names = {f"monitoring.{name}" for name in ("looks", "servers", "logs", "monitors", "alerts")}
    assert {chore.name for chore in CHORES} == names


def test_a_full_window_is_looked_at(context: Context) -> None:
    """Not before it is full; with the settings of this server, and no more rights than a look needs."""
    capture(context, "busy", WINDOW - 1)
    before = asked(context)
    capture(context, "busy", 1)
    after = asked(context)
    (job,) = jobs(context)

    assert (before, after) == ([], ["busy"])
    assert job.entry == "noria.monitoring.evaluate:look"
    assert MonitorSection(**job.args["settings"]) == MonitorSection(window_rows=WINDOW, drift_psi=0.5)


def test_a_look_is_asked_for_once(context: Context) -> None:
    """However long no worker takes it: looks do not pile up. One that failed is asked for again after a while."""
    capture(context, "busy", WINDOW)
    at_once = [asked(context) for _ in range(3)][-1]
    context.clock.sleep(24 * 3600)
    a_day_later = asked(context)
    end_looks(context, JobStatus.FAILED)
    context.clock.sleep(30)
    failed = asked(context)

    assert at_once == a_day_later == ["busy"]
    assert failed == ["busy", "busy"]


def test_what_was_taken_in_is_no_news(context: Context) -> None:
    """Until another window is full."""
    capture(context, "busy", WINDOW)
    ask_for_looks(context)
    take_in(context, "busy")
    context.clock.sleep(30)
    quiet = asked(context)
    capture(context, "busy", WINDOW)

    assert quiet == ["busy"]
    assert asked(context) == ["busy", "busy"]


def test_windows_of_a_busy_endpoint_are_looked_at_together(context: Context) -> None:
    """Those that are full right after a look wait for five seconds, also when the clock was set back."""
    capture(context, "busy", WINDOW)
    ask_for_looks(context)
    take_in(context, "busy")
    capture(context, "busy", 2 * WINDOW)
    at_once = asked(context)
    context.clock.sleep(5)
    after_the_pause = asked(context)
    take_in(context, "busy")
    capture(context, "busy", WINDOW)
    context.clock.sleep(-3600)

    assert at_once == ["busy"]
    assert after_the_pause == ["busy", "busy"]
    assert asked(context) == ["busy", "busy", "busy"]


def test_a_label_is_looked_at_at_once(context: Context) -> None:
    """However few rows there are; those that come one by one wait for a second each."""

    def label(place: int) -> None:
        row = context.service(Captures).read("default", "calm").items[place]
        given = NewLabel(prediction_id=row.prediction.id, value=7)
        context.service(Captures).label("default", "calm", LabelBatch(labels=[given]))

    capture(context, "calm", 2)
    before = asked(context)
    label(0)
    first = asked(context)
    take_in(context, "calm")
    label(1)
    too_soon = asked(context)
    context.clock.sleep(1)

    assert (before, first, too_soon) == ([], ["calm"], ["calm"])
    assert asked(context) == ["calm", "calm"]


def test_another_endpoints_traffic_is_no_news(context: Context) -> None:
    """Positions are shared by all endpoints: a calm one is not looked at because of a busy one."""
    ask_for_looks(context)
    capture(context, "calm", 1)
    take_in(context, "calm")
    capture(context, "busy", 3 * WINDOW)
    capture(context, "calm", 2)

    assert asked(context) == ["busy"]


def test_windows_by_time_are_looked_at_as_rows_come_and_when_they_are_over(context: Context) -> None:
    """At the first rows, again after a minute with new ones, and a minute after the end of an hour without any."""
    settings = MonitorSection(window_s=3600)
    timed = dataclasses.replace(
        context, settings=dataclasses.replace(context.settings, sections={"monitors": settings})
    )

    def asked_now() -> int:
        before = len(jobs(context))
        ask_for_looks(timed)
        return len(jobs(context)) - before

    def take_in_open(n_rows: int) -> None:
        monitor = context.service(Monitors).get("default", "busy")
        head = context.service(Captures).head("default", "busy")
        now = context.clock.now()
        window = Window(
            index=1,
            version=1,
            first_position=1,
            last_position=head.position,
            first_at=now,
            last_at=now,
            n_rows=n_rows,
            n_errors=0,
            starts_at=datetime(2030, 1, 1, tzinfo=UTC),
            ends_at=datetime(2030, 1, 1, 1, tzinfo=UTC),
            drift=None,
        )
        moved = Look(
            from_position=monitor.position,
            from_label_position=0,
            position=head.position,
            label_position=0,
            version=1,
            windows=[],
            detector=None,
            quality=None,
            alerts=[],
            cutting=Cutting(rows=200, span_s=3600, n_rows=n_rows, last=1, open=[window]),
        )
        context.service(Monitors).record("default", "busy", moved)
        end_looks(context)

    capture(context, "busy", 1)
    first = asked_now()
    take_in_open(1)
    capture(context, "busy", 1)
    context.clock.sleep(30)
    too_soon = asked_now()
    context.clock.sleep(31)
    after_a_minute = asked_now()
    take_in_open(2)
    context.clock.sleep(600)
    nothing_new = asked_now()
    context.clock.sleep(3600)
    over = asked_now()

    assert (first, too_soon, after_a_minute, nothing_new, over) == (1, 0, 1, 0, 1)
