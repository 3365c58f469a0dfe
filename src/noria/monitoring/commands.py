"""`noria monitors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, table
from noria.monitoring.alert_commands import add_to

if TYPE_CHECKING:
    from noria.monitoring.entities import Cutting, Monitor, Window
    from noria.monitoring.windows.series import PartSeries

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
    """Show what watches an endpoint: how far it has got, quality with and without labels, forecasts and clusters."""
    from noria.core.serialisation import to_builtins
    from noria.monitoring.estimated.service import Estimates
    from noria.monitoring.estimated.words import standing_facts, standing_parts
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        found = ws.service(Monitors).get(ws.project, endpoint)
        standing = ws.service(Estimates).get(ws.project, endpoint).standing
    if json:
        estimate = None if standing is None else to_builtins(standing)
        show({**to_builtins(found), "estimate": estimate}, json=True, render=str)
    else:
        show(found, json=False, render=monitor_facts)
        show(standing, json=False, render=lambda estimate: facts(standing_facts(estimate)))
        for part in standing_parts(standing):
            show(part, json=False, render=lambda each: each)


@monitors.command("estimates")
def list_estimates(
    endpoint: EndpointArgument,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List past estimates of quality without labels, newest first, beside what labels said of the same answers."""
    from noria.monitoring.estimated.service import Estimates
    from noria.monitoring.estimated.words import past_parts

    with opened(workspace, project) as ws:
        found = ws.service(Estimates).past(ws.project, endpoint, limit=limit)
    if json:
        show(found, json=True, render=str)
        return
    for part in past_parts(found):
        show(part, json=False, render=lambda each: each)


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


@monitors.command("segments")
def list_segments(
    endpoint: EndpointArgument,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List versions and segments of an endpoint: drift over the newest windows, and labelled quality."""
    from noria.monitoring.service import Monitors
    from noria.monitoring.windows.series import part_series

    with opened(workspace, project) as ws:
        found = ws.service(Monitors)
        windows = found.windows(ws.project, endpoint, limit=limit).items[::-1]
        qualities = found.segments(ws.project, endpoint).items
    columns = ["version", "segment", "rows", "PSI by window", "newest", "drifted", "labels", "quality"]
    series = part_series(windows, qualities)
    show(series, json=json, render=lambda s: table(columns, [_part_row(part) for part in s.items]))


@monitors.command("labels")
def list_labels(
    endpoint: EndpointArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell how long labels take, which share of them is expected by now, and the quality by when it was answered."""
    from noria.monitoring.delays.reporting import delay_report
    from noria.monitoring.delays.words import delay_facts, delay_table
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        found = delay_report(ws.service(Monitors).label_delays(ws.project, endpoint), ws.clock.now())
    if json:
        show(found, json=True, render=str)
        return
    show(found, json=False, render=lambda report: facts(delay_facts(report)))
    show(found, json=False, render=delay_table)


@monitors.command("check")
def check(json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None) -> None:
    """Hold `[monitors]` of `noria.toml` to the endpoints there are, and list the segments it makes of each."""
    from noria.monitoring.entities import MonitorSection
    from noria.monitoring.windows.checking import check_segments

    with opened(workspace, project) as ws:
        found = check_segments(ws, ws.settings.section("monitors", MonitorSection))
    columns = ["endpoint", "segments", "lacks"]
    rows = [(each.endpoint, ", ".join(each.segments), "; ".join(each.lacks) or None) for each in found.items]
    show(found, json=json, render=lambda _: table(columns, rows))


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
        ("windows are cut", _cutting(monitor.cutting)),
        ("watched since", monitor.created_at),
        ("looked at", monitor.looked_at),
    ]
    return facts(pairs)


def _cutting(cutting: Cutting | None) -> str | None:
    if cutting is None:
        return None
    how = f"every {cutting.span_s} s" if cutting.span_s else f"every {cutting.rows} rows"
    return f"{how}; {sum(window.n_rows for window in cutting.open)} rows are in windows that are not over"


def _part_row(part: PartSeries) -> tuple[object, ...]:
    from noria.tracking.sparkline import sparkline

    known = [psi for psi in part.psi if psi is not None]
    quality = part.lacks
    if part.quality is not None:
        quality = f"{part.quality:.3f} ({part.low:.3f} to {part.high:.3f})"
    return (
        part.version,
        part.segment or "all",
        part.n_rows,
        sparkline(known) or None,
        f"{known[-1]:.2f}" if known else None,
        f"{part.n_drifted} of {len(part.indexes)}",
        part.n_labels or None,
        quality,
    )


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
