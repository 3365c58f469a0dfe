"""What a notice says: what, since when, how much, how sure, what next. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from noria.core.serialisation import to_builtins
from noria.monitoring.alerts.entities import NoticeKind, Told
from noria.monitoring.alerts.planning import Group
from noria.monitoring.entities import Alert, AlertKind

_NEXT = {
    AlertKind.QUALITY: "noria decisions list",
    AlertKind.DRIFT: "noria monitors windows {endpoint}",
    AlertKind.ERRORS: "noria endpoints show {endpoint}",
    AlertKind.RULES: "noria monitors report {endpoint}",
    AlertKind.SERVER: "noria serve",
    AlertKind.DISK: "noria endpoints show {endpoint}",
    AlertKind.LOGS: "noria endpoints logs {endpoint}",
    AlertKind.MONITOR: "noria worker",
}
_ADVICE = {
    AlertKind.QUALITY: "see what is found and tried",
    AlertKind.DRIFT: "see which inputs moved, and when",
    AlertKind.ERRORS: "see the versions and what they fail with",
    AlertKind.RULES: "see the rules, and which rows break them",
    AlertKind.SERVER: "start a model server on a machine that has one to spare",
    AlertKind.DISK: "see which model server it is, and free room on its disk",
    AlertKind.LOGS: "see since when, and read the newest lines",
    AlertKind.MONITOR: "start a worker if none runs; `noria jobs list` has the looks that failed",
}


def next_command(alert: Alert) -> str:
    """Give the command that looks further into an alert.

    Examples
    --------
    >>> next_command_of(AlertKind.DRIFT, "digits", "default")
    'noria monitors windows digits --project default'
    """
    return next_command_of(alert.kind, alert.endpoint, alert.project)


def next_command_of(kind: AlertKind, endpoint: str, project: str) -> str:
    """Give the command that looks further into an alert of a kind."""
    command = _NEXT[kind].format(endpoint=shlex.quote(endpoint))
    if kind in (AlertKind.SERVER, AlertKind.MONITOR):
        return command
    return f"{command} --project {shlex.quote(project)}"


def subject_of(group: Group, kind: NoticeKind, alerts: Sequence[Alert]) -> str:
    """Give one line."""
    where = f"{group.project}/{group.cause.partition(':')[2]}"
    if kind is NoticeKind.RESOLVED:
        return f"[noria] {where}: over"
    more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    return f"[noria] {where}: {alerts[0].kind.value}{more}: {alerts[0].sentence}"


def told_of(
    group: Group, kind: NoticeKind, alerts: Sequence[Alert], *, workspace: str, now: datetime
) -> Told:
    """Give what a notice carries.

    Parameters
    ----------
    workspace
        Whose alerts they are, as commands take it.
    """
    return Told(
        kind=kind.value,
        project=group.project,
        group=group.id,
        cause=group.cause,
        text=text_of(group, kind, alerts, workspace=workspace, now=now),
        alerts=[_facts(alert) for alert in alerts],
    )


def text_of(group: Group, kind: NoticeKind, alerts: Sequence[Alert], *, workspace: str, now: datetime) -> str:
    """Give the whole text, lines and all."""
    first = {
        NoticeKind.OPENED: f"{_counted(alerts)} in the project `{group.project}`, of one cause ({group.cause}).",
        NoticeKind.MORE: f"{_counted(alerts)} joined the group {group.id} ({group.cause}).",
        NoticeKind.RESOLVED: f"The group {group.id} ({group.cause}) is over after {_lasting(group.opened_at, now)}.",
    }[kind]
    lines = [first]
    for alert in alerts:
        lines += ["", *_lines(alert, kind, workspace)]
    return "\n".join(lines) + "\n"


def _lines(alert: Alert, kind: NoticeKind, workspace: str) -> list[str]:
    pairs = [
        ("what", f"{alert.kind.value} at `{alert.endpoint}`, version {alert.version}"),
        ("since", _stamp(alert.since or alert.opened_at)),
        ("raised", _stamp(alert.opened_at)),
        ("how much", alert.sentence),
    ]
    if alert.closed_at is not None:
        pairs.append(("over", f"{_stamp(alert.closed_at)}: {alert.closed_why or 'no reason was given'}"))
    if kind is not NoticeKind.RESOLVED:
        pairs.append(("next", f"{next_command(alert)} --workspace {workspace}"))
        pairs.append(("", f"({_ADVICE[alert.kind]})"))
        pairs.append(("to be left alone", f"noria monitors silence {shlex.quote(alert.endpoint)} --for 4h"))
    return [f"{name:<18}{value}" for name, value in pairs]


def _facts(alert: Alert) -> dict[str, Any]:
    facts: dict[str, Any] = to_builtins(alert)
    return {**facts, "next": next_command(alert)}


def _counted(alerts: Sequence[Alert]) -> str:
    return "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _lasting(since: datetime, now: datetime) -> str:
    from noria.pipelines.schedules.notices import lasting

    return lasting(now - since)
