"""`noria monitors alerts|groups|silence|silences|unsilence|receivers|test|prometheus`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import show, table

if TYPE_CHECKING:
    from noria.monitoring.alerts.entities import AlertGroup, Silence
    from noria.monitoring.entities import Alert
    from noria.monitoring.receivers.entities import ReceiverStanding

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def add_to(monitors: typer.Typer) -> None:
    """Add the commands to `noria monitors`."""
    for name, command in (
        ("alerts", list_alerts),
        ("groups", list_groups),
        ("silence", silence),
        ("silences", list_silences),
        ("unsilence", unsilence),
        ("receivers", list_receivers),
        ("test", try_receivers),
        ("prometheus", write_prometheus),
    ):
        monitors.command(name)(command)


def list_alerts(
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Only of this endpoint.", show_default=False)
    ] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List alerts, newest first."""
    from noria.monitoring.service import Monitors

    with opened(workspace, project) as ws:
        page = ws.service(Monitors).alerts(
            ws.project, endpoint=endpoint or "", open_only=open_only, limit=limit
        )
    columns = ["id", "endpoint", "kind", "opened", "closed", "what"]
    show(page, json=json, render=lambda p: table(columns, [_alert_row(a) for a in p.items]))


def list_groups(
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List groups of alerts of one cause, newest first, and who was told of them."""
    from noria.monitoring.alerts.service import Alerts

    with opened(workspace, project) as ws:
        page = ws.service(Alerts).groups(ws.project, open_only=open_only, limit=limit)
    columns = ["id", "cause", "opened", "closed", "alerts", "told", "waiting", "silenced"]
    show(page, json=json, render=lambda p: table(columns, [_group_row(g) for g in p.items]))


def silence(
    endpoint: Annotated[
        str | None, typer.Argument(help="Only of this endpoint; of all when left out.", show_default=False)
    ] = None,
    for_: Annotated[str, typer.Option("--for", help="How long: `30m`, `4h`, `2d`.")] = "1h",
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Only of this kind: `quality`, `drift`, …", show_default=False),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="For those who find it.", show_default=False)] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell nobody of alerts for a time; they are raised and shown as ever."""
    from noria.core.serialisation import convert
    from noria.monitoring.alerts.entities import NewSilence
    from noria.monitoring.alerts.service import Alerts

    given = {"endpoint": endpoint, "kind": kind, "for_s": seconds_of(for_), "why": why}
    new = convert(given, NewSilence, what="silence")
    with opened(workspace, project) as ws:
        made = ws.service(Alerts).silence(ws.project, new)
    show(made, json=json, render=lambda one: table(_SILENCE_COLUMNS, [_silence_row(one)]))


def list_silences(
    all_: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List silences, those that end last first."""
    from noria.monitoring.alerts.service import Alerts

    with opened(workspace, project) as ws:
        found = ws.service(Alerts).silences(ws.project, active_only=not all_)
    show(found, json=json, render=lambda f: table(_SILENCE_COLUMNS, [_silence_row(one) for one in f.items]))


def unsilence(
    silence_id: Annotated[str, typer.Argument(help="Id of the silence.", metavar="SILENCE")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """End a silence before its time."""
    from noria.monitoring.alerts.service import Alerts

    with opened(workspace, project) as ws:
        ended = ws.service(Alerts).unsilence(ws.project, silence_id)
    show(ended, json=json, render=lambda one: table(_SILENCE_COLUMNS, [_silence_row(one)]))


def list_receivers(
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret", help="Print what this receiver's calls are signed with.", show_default=False
        ),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List who is told of alerts (`[alerts.receivers]`), and how the notices to each fare."""
    from noria.monitoring.alerts.service import Alerts

    with opened(workspace, project) as ws:
        if secret is not None:
            found = ws.service(Alerts).secret(secret)
            show(found, json=json, render=lambda one: one.secret)
            return
        listed = ws.service(Alerts).receivers()
    columns = ["name", "form", "where", "kinds", "after", "sent", "waiting", "failed", "last error"]
    show(listed, json=json, render=lambda f: table(columns, [_receiver_row(one) for one in f.items]))


def try_receivers(
    receiver: Annotated[
        str | None, typer.Argument(help="Only this receiver; all when left out.", show_default=False)
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Send a trial message to each receiver, and tell how that went; exit with 1 if one did not take it."""
    from noria.monitoring.alerts.service import Alerts
    from noria.monitoring.receivers.entities import Trial

    with opened(workspace, project) as ws:
        found = ws.service(Alerts).test(Trial(receiver=receiver))
    rows = [(one.receiver, one.form.value, one.error or "taken") for one in found.items]
    show(found, json=json, render=lambda _: table(["receiver", "form", "outcome"], rows))
    if any(one.error for one in found.items):
        raise typer.Exit(1)


def write_prometheus(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; made if it is not there.")],
    server: Annotated[
        str, typer.Option("--server", help="`host:port` of the server, as Prometheus reaches it.")
    ] = "127.0.0.1:7777",
    models: Annotated[
        list[str] | None,
        typer.Option("--model-server", help="`host:port` of a model server; several times for several."),
    ] = None,
) -> None:
    """Write alert rules and a scrape configuration for Prometheus, and a dashboard for Grafana."""
    from noria.core.console.output import say
    from noria.monitoring.prometheus.dashboard import dashboard_file
    from noria.monitoring.prometheus.rules import rules_file, scrape_file

    out.mkdir(parents=True, exist_ok=True)
    scraped = scrape_file(server, tuple(models or ["127.0.0.1:7778"]))
    files = {
        "noria-rules.yml": rules_file().encode(),
        "prometheus.yml": scraped.encode(),
        "noria-dashboard.json": dashboard_file(),
    }
    for name, data in files.items():
        (out / name).write_bytes(data)
        say(f"Wrote {out / name}")


def seconds_of(text: str) -> float:
    """Read a length of time.

    Examples
    --------
    >>> seconds_of("90"), seconds_of("30m"), seconds_of("4h")
    (90.0, 1800.0, 14400.0)

    Raises
    ------
    Invalid
        If it is none; the hint says how it is written.
    """
    from noria.core.errors import Invalid

    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS_S else (text, "s")
    if not (number.isascii() and number.replace(".", "", 1).isdigit()):
        raise Invalid(f"`{text}` is no length of time", hint="Write `90s`, `30m`, `4h`, `2d` or `1w`")
    return float(number) * _UNITS_S[unit]


_SILENCE_COLUMNS = ["id", "endpoint", "kind", "by", "since", "until", "why"]


def _silence_row(one: Silence) -> tuple[object, ...]:
    kind = one.kind.value if one.kind else "every kind"
    return (one.id, one.endpoint or "all", kind, one.created_by, one.created_at, one.ends_at, one.why)


def _alert_row(alert: Alert) -> tuple[object, ...]:
    return (alert.id, alert.endpoint, alert.kind.value, alert.opened_at, alert.closed_why, alert.sentence)


def _group_row(group: AlertGroup) -> tuple[object, ...]:
    kinds = ", ".join(f"{alert.kind.value} at {alert.endpoint}" for alert in group.alerts)
    told = [notice.receiver for notice in group.notices if notice.status.value == "sent"]
    waiting = [notice.receiver for notice in group.notices if notice.status.value == "waiting"]
    return (
        group.id,
        group.cause,
        group.opened_at,
        group.closed_at,
        kinds,
        ", ".join(dict.fromkeys(told)) or None,
        ", ".join(dict.fromkeys(waiting)) or None,
        "yes" if group.is_silenced else None,
    )


def _receiver_row(one: ReceiverStanding) -> tuple[object, ...]:
    kinds = ", ".join(kind.value for kind in one.kinds) or "all"
    after = f"{one.after_s:g} s" if one.after_s else None
    return (
        one.name,
        one.form.value,
        one.place,
        kinds,
        after,
        one.n_sent,
        one.n_waiting,
        one.n_failed,
        one.last_error,
    )
