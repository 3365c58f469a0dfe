"""A monitor that stands still is told of: no worker takes its looks, or they fail."""

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
from noria.decisions.entities import Trigger
from noria.monitoring.alerts.unwatched import watch_monitors
from noria.monitoring.alerts.wording import next_command
from noria.monitoring.control import ask_for_looks
from noria.monitoring.entities import Alert, AlertKind, MonitorSection
from noria.monitoring.evaluate import look
from noria.monitoring.sentences import retelling
from noria.monitoring.service import Monitors
from noria.pipelines.job_entities import JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch
from noria.serving.service import Captures, Endpoints
from support.conformance import open_test_context, workspace_settings
from support.serving import predictions, register_version

WINDOW = 20


@pytest.fixture
def context(tmp_path: Path, database_url: str) -> Iterator[Context]:
    """Give a workspace with the endpoints `busy`, whose first window is full, and `calm`."""
    sections = {"monitors": MonitorSection(window_rows=WINDOW)}
    settings = dataclasses.replace(
        workspace_settings(tmp_path / "workspace", database_url), sections=sections
    )
    with open_test_context(settings, ManualClock(datetime(2030, 1, 1, tzinfo=UTC))) as opened:
        register_version(Workspace(settings, InProcess(opened), opened.clock))
        for name in ("busy", "calm"):
            opened.service(Endpoints).deploy("default", name, Deployment(model="digits", version=1))
        capture(opened, "first")
        ask_for_looks(opened)
        yield opened


def capture(context: Context, name: str) -> None:
    sent = predictions([f"{name}-{number}" for number in range(WINDOW)])
    context.service(Captures).append("default", "busy", CaptureBatch(predictions=sent))


def wait(context: Context, minutes: float) -> list[Alert]:
    """Let time go by, have looks asked for, and give the open alerts."""
    context.clock.sleep(60 * minutes)
    ask_for_looks(context)
    watch_monitors(context)
    return context.service(Monitors).alerts("default", open_only=True).items


def end_look(context: Context, error: str | None = None) -> None:
    """Be the worker of the look that waits: take it, or fail at it."""
    claimed = context.service(Jobs).claim(WorkerInfo(name="w")).claimed
    assert claimed is not None
    if error is None:
        workspace = Workspace(context.settings, InProcess(context), context.clock)
        look(workspace, **claimed.job.args)
    outcome = Outcome(
        worker="w",
        attempt=claimed.job.attempt,
        status=JobStatus.SUCCEEDED if error is None else JobStatus.FAILED,
        error=None if error is None else ErrorBody(code="failed", message=error),
    )
    context.service(Jobs).finish("default", claimed.job.id, outcome)


def test_an_endpoint_that_no_worker_looks_at_is_told(context: Context) -> None:
    """Once, after ten minutes, with what mends it; it is over with the next look; no decision answers it."""
    early = wait(context, 9)
    (alert,) = wait(context, 2)
    again = wait(context, 60)
    end_look(context)
    after = wait(context, 1)
    capture(context, "second")
    anew = wait(context, 5)

    assert early == after == anew == []
    assert [each.id for each in again] == [alert.id]
    assert (alert.kind, alert.endpoint, alert.since) == (
        AlertKind.MONITOR,
        "busy",
        datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert alert.sentence == (
        "Nobody looks at what the endpoint answers: a look was asked for 11 minutes ago, and no worker has ended one "
        "since"
    )
    assert retelling.find(alert.sentence).is_known
    assert next_command(alert) == "noria worker"
    assert context.service(Monitors).alert("default", alert.id).closed_why == (
        "What the endpoint answers is looked at again"
    )
    assert str(alert.kind) not in {str(trigger) for trigger in Trigger}


def test_looks_that_fail_say_why(context: Context) -> None:
    """The newest of them, however many there were since the monitor stood still."""
    for error in ("a first mistake", "there is no file `reference.npz`"):
        end_look(context, error)
        found = wait(context, 6)
    (alert,) = found

    assert alert.sentence == (
        "Nobody sees what the endpoint answers: looks at it have failed for 12 minutes, the newest with "
        "`there is no file 'reference.npz'`"
    )
    assert retelling.find(alert.sentence).is_known


def test_an_alert_of_a_deleted_endpoint_is_over(context: Context) -> None:
    """There is nothing left to look at."""
    (alert,) = wait(context, 11)
    context.service(Endpoints).delete("default", "busy")

    assert wait(context, 1) == []
    assert context.service(Monitors).alert("default", alert.id).closed_why == "The endpoint was deleted"
