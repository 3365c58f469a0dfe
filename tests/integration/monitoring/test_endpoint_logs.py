"""What model servers log is counted once, alarms where it is too much, and is over by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.decisions.control import is_about_a_model
from noria.monitoring.alerts.log_watch import watch_logs
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.prometheus.metrics import exposition
from noria.monitoring.reports.live import endpoint_report
from noria.monitoring.sentences import retelling
from noria.monitoring.service import Monitors
from noria.serving.entities import Deployment
from noria.serving.plans import AppliedPlan, LogLine, ServerReport, ServerStanding
from noria.serving.service import Endpoints, ServiceLogs
from noria.serving.service_logs import WINDOW
from support.conformance import open_test_context, workspace_settings
from support.serving import register_version

START = datetime(2030, 1, 1, 12, 2, tzinfo=UTC)
NAMES = ("busy", "calm")


@pytest.fixture
def context(tmp_path: Path, database_url: str) -> Iterator[Context]:
    """Give a workspace with the endpoints `busy` and `calm`."""
    clock = ManualClock(START)
    with open_test_context(workspace_settings(tmp_path / "workspace", database_url), clock) as opened:
        register_version(Workspace(opened.settings, InProcess(opened), opened.clock))
        for name in NAMES:
            opened.service(Endpoints).deploy("default", name, Deployment(model="digits", version=1))
        yield opened


def report(
    context: Context,
    n_errors: int,
    *,
    n_warnings: int = 0,
    server: str = "one",
    names: tuple[str, ...] = ("busy",),
) -> None:
    """Give a sign of life of a server that logged so much since it started."""
    line = LogLine(at=context.clock.now(), level="error", text=f"model.raised `n`={n_errors}")
    standing = ServerStanding(
        n_workers=1,
        n_log_errors=n_errors,
        n_log_warnings=n_warnings,
        log_line=line if n_errors or n_warnings else None,
    )
    applied = [AppliedPlan(project="default", endpoint=name, revision=1) for name in names]
    context.service(Endpoints).report(
        ServerReport(server=server, url=f"http://{server}", endpoints=applied, standing=standing)
    )


def counts(context: Context, name: str = "busy") -> list[tuple[int, int]]:
    """Give errors and warnings by window, oldest first."""
    found = context.service(ServiceLogs).list("default", name).items
    return [(window.n_errors, window.n_warnings) for window in reversed(found)]


def opened(context: Context) -> list[Alert]:
    """Give the open alerts after a look."""
    watch_logs(context)
    return context.service(Monitors).alerts("default", open_only=True).items


def test_each_line_is_counted_once(context: Context) -> None:
    """In the window of its report, at each endpoint of its server, whatever report comes twice or after a restart."""
    report(context, 2, n_warnings=1)
    report(context, 2, n_warnings=1)
    report(context, 5, n_warnings=1, names=NAMES)
    context.clock.sleep(WINDOW.total_seconds())
    report(context, 5, n_warnings=1, names=NAMES)
    report(context, 3, server="two")
    report(context, 1)  # the same server, started again under its name

    assert counts(context) == [(5, 1), (3, 0)]
    assert counts(context, "calm") == [(3, 0), (0, 0)]
    newest = context.service(ServiceLogs).list("default", "busy", limit=1).items[0]
    assert newest.starts_at == datetime(2030, 1, 1, 12, 5, tzinfo=UTC)
    assert newest.line is not None
    assert newest.line.text == "model.raised `n`=3"


def test_windows_are_kept_for_a_week(context: Context) -> None:
    """Then they go, as new ones come."""
    for _ in range(20):
        context.clock.sleep(timedelta(hours=12).total_seconds())
        report(context, 0)
    found = context.service(ServiceLogs).list("default", "busy", limit=10_000).items

    assert len(found) == 15
    assert found[0].starts_at - found[-1].starts_at == timedelta(days=7)


def test_more_errors_than_tolerated_alarm_until_they_cease(context: Context) -> None:
    """The alert says how many, beside what, and the newest line; three calm windows end it; no decision answers it."""
    report(context, 5)
    tolerated = opened(context)
    report(context, 6)
    (alert,) = opened(context)
    again = opened(context)
    for _ in range(4):
        context.clock.sleep(WINDOW.total_seconds())
        report(context, 6)
        during = opened(context)
    closed = context.service(Monitors).alerts("default").items

    assert tolerated == []
    assert (alert.kind, alert.endpoint, alert.figures["n"]) == (AlertKind.LOGS, "busy", 6.0)
    assert alert.sentence == (
        "The model servers logged 6 errors in five minutes; 5 are tolerated. The newest line: `model.raised 'n'=6`"
    )
    assert retelling.find(alert.sentence).is_known
    assert [each.id for each in again] == [alert.id]
    assert during == []
    assert [each.closed_why for each in closed] == [
        "The model servers logged no more than 5 errors in five minutes, 3 windows in a row"
    ]
    assert not is_about_a_model(context, _Opened())


def test_a_noisy_service_alarms_by_its_own_measure(context: Context) -> None:
    """A hundred windows of twelve errors: as many as ever are no news, twice as many are."""
    total = 0
    for _ in range(110):
        context.clock.sleep(WINDOW.total_seconds())
        total += 12
        report(context, total)
    first = opened(context)
    report(context, total + 13)
    (alert,) = opened(context)

    assert first == []
    assert alert.figures["n"] == 25.0
    assert "in 99 of 100 of the 109 windows before there were at most 12" in alert.sentence
    assert retelling.find(alert.sentence).is_known


def test_an_alert_of_a_deleted_endpoint_is_over(context: Context) -> None:
    """There is nobody left to cease."""
    report(context, 60)
    (alert,) = opened(context)
    context.service(Endpoints).delete("default", "busy")

    assert opened(context) == []
    assert context.service(Monitors).alert("default", alert.id).closed_why == "The endpoint was deleted"


def test_reports_and_prometheus_tell_of_logs(context: Context) -> None:
    """The report of an endpoint sums them up over its time; Prometheus has the counter of each server."""
    report(context, 4, n_warnings=2)
    context.clock.sleep(WINDOW.total_seconds())
    report(context, 5, n_warnings=2)
    workspace = Workspace(context.settings, InProcess(context), context.clock)
    whole = endpoint_report(workspace, "busy").logs
    later = endpoint_report(workspace, "busy", start=START + WINDOW).logs
    shown = exposition(context).decode()

    assert whole is not None
    assert (whole.n_windows, whole.n_errors, whole.n_warnings, whole.n_loud) == (2, 5, 2, 2)
    assert whole.worst is not None
    assert whole.worst.n_errors == 4
    assert later is not None
    assert (later.n_windows, later.n_errors) == (1, 1)
    assert endpoint_report(workspace, "calm").logs is None
    assert 'noria_model_server_log_lines_total{server="http://one",level="error"} 5.0' in shown


class _Opened:
    position, type, subject, project = 1, "alert.opened", "endpoint:busy", "default"

    def __init__(self) -> None:
        self.payload = {"kind": "logs"}
