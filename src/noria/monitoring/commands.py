"""`noria monitors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, table
from noria.monitoring.alert_commands import add_to

if TYPE_CHECKING:
    from noria.monitoring.entities import Monitor, Window

monitors = typer.Typer(no_args_is_help=True, help="Monitors, windows and alerts")

EndpointArgument = Annotated[str, typer.Argument(help="Endpoint.")]


@monitors.command("list")
def list_monitors(
    json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """List what watches the endpoints."""
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        found = ws.service(Monitors).list(ws.project)
    columns = ["endpoint", "version", "rows seen", "windows", "labels", "quality", "looked at"]
    rows = [
        (m.endpoint, m.version or None, m.position, m.n_windows, _labels(m), _quality(m), m.looked_at)
        for m in found.items
    ]
    show(found, json=json, render=lambda _: table(columns, rows))


@monitors.command("show")
def show_monitor(
    endpoint: EndpointArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show what watches an endpoint: how far it has got, and the quality of the newest labelled answers."""
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        found = ws.service(Monitors).get(ws.project, endpoint)
    show(found, json=json, render=monitor_facts)


@monitors.command("windows")
def list_windows(
    endpoint: EndpointArgument,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List an endpoint's windows of captured rows, newest first."""
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        page = ws.service(Monitors).windows(ws.project, endpoint, limit=limit)
    columns = ["window", "version", "from", "to", "rows", "errors", "drifted", "most"]
    show(page, json=json, render=lambda p: table(columns, [_window_row(w) for w in p.items]))


def monitor_facts(monitor: Monitor) -> Any:
    """Lay out one monitor."""
    quality = monitor.quality
    pairs = [
        ("endpoint", monitor.endpoint),
        ("version", monitor.version or None),
        ("rows seen", monitor.position),
        ("windows", monitor.n_windows),
        ("labels", _labels(monitor)),
        ("quality", _quality(monitor)),
        ("at registration", f"{quality.reference:.3f} on {quality.reference_n} rows" if quality else None),
        ("evidence of a drop", f"{quality.evidence:.2f} of {quality.threshold:.2f}" if quality else None),
        ("watched since", monitor.created_at),
        ("looked at", monitor.looked_at),
    ]
    return facts(pairs)


def _labels(monitor: Monitor) -> int:
    return monitor.quality.n if monitor.quality else 0


def _quality(monitor: Monitor) -> str | None:
    found = monitor.quality
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})" if found and found.recent else None


def _window_row(window: Window) -> tuple[object, ...]:
    drift = window.drift
    drifted = f"{drift.n_drifted} of {drift.n_columns}" if drift else ", ".join(window.lacks)
    most = drift.columns[0].name if drift and drift.n_drifted else None
    begin, end = window.first_position, window.last_position
    return (window.index, window.version, begin, end, window.n_rows, window.n_errors, drifted, most)


add_to(monitors)
