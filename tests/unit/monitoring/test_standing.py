"""Alerts about model servers: one that died, and one whose disk is full."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.decisions.control import is_about_a_model
from noria.monitoring.alerts.service import Alerts
from noria.monitoring.alerts.standing import watch_servers
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.service import Monitors
from noria.serving.entities import Deployment
from noria.serving.plans import AppliedPlan, ServerReport, ServerStanding
from noria.serving.service import Endpoints
from support.conformance import open_test_context, workspace_settings
from support.serving import register_version

NAMES = ("busy", "calm")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with the endpoints `busy` and `calm`."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    with open_test_context(workspace_settings(tmp_path / "workspace"), clock) as opened:
        register_version(Workspace(opened.settings, InProcess(opened), opened.clock))
        for name in NAMES:
            opened.service(Endpoints).deploy("default", name, Deployment(model="digits", version=1))
        yield opened


def report(
    context: Context,
    server: str = "one",
    *,
    disk_full: bool = False,
    leaving: bool = False,
    names: tuple[str, ...] = NAMES,
) -> None:
    """Give a sign of life."""
    context.clock.sleep(1)
    applied = [AppliedPlan(project="default", endpoint=name, revision=1) for name in names]
    standing = ServerStanding(n_workers=1, waiting_bytes=3 << 20, disk_full=disk_full)
    seen = ServerReport(
        server=server,
        url=f"http://{server}",
        endpoints=applied,
        n_dropped=7,
        leaving=leaving,
        standing=standing,
    )
    context.service(Endpoints).report(seen)


def watch(context: Context, for_s: int) -> list[Alert]:
    """Watch for a while, every five seconds, and give the open alerts."""
    for _ in range(for_s // 5):
        context.clock.sleep(5)
        watch_servers(context)
    return context.service(Monitors).alerts("default", open_only=True).items


def test_endpoints_that_lose_their_last_server_raise_one_group(context: Context) -> None:
    """After a while; the group is the server's, and it is over when one answers again."""
    report(context)
    at_once = watch(context, 60)
    lost = watch(context, 30)
    (group,) = context.service(Alerts).groups("default").items
    report(context, "two", names=("calm",))
    half = watch(context, 5)

    assert at_once == []
    assert {(alert.endpoint, alert.kind) for alert in lost} == {(name, AlertKind.SERVER) for name in NAMES}
    assert group.cause == "model_server:http://one"
    assert "`http://one`, gave its last sign of life" in lost[0].sentence
    assert lost[0].since is not None
    assert lost[0].since < lost[0].opened_at
    assert [alert.endpoint for alert in half] == ["busy"]


def test_a_server_that_leaves_is_not_missed(context: Context) -> None:
    """Nor is one that others stand in for, nor one that was quiet while the control server was away itself."""
    report(context)
    report(context, "two")
    stood_in = watch(context, 10)
    report(context, "two", leaving=True)
    report(context, leaving=True)
    left = watch(context, 300)
    report(context)
    context.clock.sleep(7200)
    back = watch(context, 40)

    assert (stood_in, left, back) == ([], [], [])


def test_a_full_disk_is_told_until_there_is_room(context: Context) -> None:
    """As the server says itself; neither alert starts a decision."""
    report(context, disk_full=True)
    full = watch(context, 5)
    report(context)
    watch(context, 5)
    closed = context.service(Monitors).alerts("default").items

    assert {(alert.endpoint, alert.kind) for alert in full} == {(name, AlertKind.DISK) for name in NAMES}
    assert "7 predictions were dropped, 3.0 MiB wait" in full[0].sentence
    assert {alert.closed_why for alert in closed} == {"There is room on the disk again"}
    assert not is_about_a_model(context, _Opened("disk"))
    assert is_about_a_model(context, _Opened("quality"))


class _Opened:
    position, type, subject, project = 1, "alert.opened", "endpoint:busy", "default"

    def __init__(self, kind: str) -> None:
        self.payload = {"kind": kind}
