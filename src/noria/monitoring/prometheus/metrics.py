"""What the server shows to Prometheus of endpoints, monitors and alerts.

All of it is read from figures that are kept up to date as things happen, so a scrape costs the same however much was
captured. A counter may be read from any server of a workspace: it is counted in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.context import Context
from noria.monitoring.alerts.tables import alert_groups, alert_notices
from noria.monitoring.delays.reporting import delay_report
from noria.monitoring.delays.tables import monitor_label_delays
from noria.monitoring.entities import Window
from noria.monitoring.tables import alerts, monitor_windows, monitors
from noria.serving.plans import ServerStanding
from noria.serving.rollouts.sight import SERVER_ALIVE_S
from noria.serving.tables import capture_counts, endpoints, model_servers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric with its samples."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)


def exposition(context: Context) -> bytes:
    """Give the text that Prometheus reads."""
    now = context.clock.now()
    with context.database.read() as connection:
        families = [
            *_of_endpoints(connection),
            *_of_servers(connection, now),
            *_of_monitors(connection),
            *_of_labels(connection, now),
            *_of_alerts(connection),
        ]
    return "".join(map(_text, families)).encode()


def _text(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    lines += [f"{family.name}{_braces(labels)} {float(value)!r}" for labels, value in family.samples]
    return "\n".join(lines) + "\n"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _of_endpoints(connection: sa.Connection) -> Iterable[Family]:
    c = capture_counts.c
    sums = [sa.func.sum(c[name]).label(name) for name in ("n_requests", "n_rows", "n_errors", "n_labelled")]
    query = (
        sa.select(projects.c.name.label("project"), endpoints.c.name, c.version, *sums)
        .join(endpoints, endpoints.c.pk == c.endpoint_pk)
        .join(projects, projects.c.pk == endpoints.c.project_pk)
        .where(endpoints.c.deleted_at.is_(None))
        .group_by(projects.c.name, endpoints.c.name, c.version)
        .order_by(projects.c.name, endpoints.c.name, c.version)
    )
    rows = connection.execute(query).all()
    told = {
        "n_requests": ("requests", "Captured requests."),
        "n_rows": ("rows", "Rows of captured requests."),
        "n_errors": ("errors", "Captured requests that failed."),
        "n_labelled": ("labels", "Rows that have a label."),
    }
    for name, (word, text) in told.items():
        yield Family(
            name=f"noria_endpoint_{word}_total",
            kind="counter",
            help=text,
            samples=[({**_place(row), "version": str(row.version)}, getattr(row, name)) for row in rows],
        )


def _of_servers(connection: sa.Connection, now: datetime) -> Iterable[Family]:
    c = model_servers.c
    alive = c.seen_at > now - timedelta(seconds=SERVER_ALIVE_S)
    rows = connection.execute(
        sa.select(c.server, c.url, c.endpoints, c.standing, c.n_dropped).where(alive).order_by(c.server)
    ).all()
    counts = dict.fromkeys(_known(connection), 0)
    for row in rows:
        for plan in row.endpoints:
            if (plan.project, plan.endpoint) in counts:
                counts[plan.project, plan.endpoint] += 1
    yield Family(
        name="noria_endpoint_servers",
        kind="gauge",
        help="Model servers that reported lately that they answer for an endpoint.",
        samples=[({"project": project, "endpoint": name}, n) for (project, name), n in counts.items()],
    )
    names = [{"server": row.url or row.server} for row in rows]
    full = [float(row.standing is not None and row.standing.disk_full) for row in rows]
    standing = [row.standing or ServerStanding() for row in rows]
    waiting = [each.waiting_bytes for each in standing]
    yield Family(
        name="noria_model_server_cpu_seconds_total",
        kind="counter",
        help="Processor time of all processes of a model server.",
        samples=[(name, each.cpu_s) for name, each in zip(names, standing, strict=True) if each.cpu_s],
    )
    # One of an older release does not say: it is left out instead of shown as 0.
    yield _gauge(
        "model_server_memory_bytes",
        "Resident memory of all processes of a model server.",
        [(name, each.memory_bytes) for name, each in zip(names, standing, strict=True) if each.memory_bytes],
    )
    yield Family(
        name="noria_model_server_log_lines_total",
        kind="counter",
        help="Warnings and errors that the processes of a model server logged since it started.",
        samples=[
            ({**name, "level": level}, n)
            for name, each in zip(names, standing, strict=True)
            for level, n in (("warning", each.n_log_warnings), ("error", each.n_log_errors))
        ],
    )
    for name, text, values in (
        ("disk_full", "1 when a model server has no room to keep what it answers.", full),
        ("waiting_bytes", "Bytes on a model server's disk that were not handed on yet.", waiting),
        (
            "dropped",
            "Predictions that a model server could not keep since it started.",
            [r.n_dropped for r in rows],
        ),
    ):
        samples = list(zip(names, map(float, values), strict=True))
        yield Family(name=f"noria_model_server_{name}", kind="gauge", help=text, samples=samples)


def _known(connection: sa.Connection) -> list[tuple[str, str]]:
    query = (
        sa.select(projects.c.name, endpoints.c.name)
        .join(projects, projects.c.pk == endpoints.c.project_pk)
        .where(endpoints.c.deleted_at.is_(None))
        .order_by(projects.c.name, endpoints.c.name)
    )
    return [(project, name) for project, name in connection.execute(query)]


def _of_monitors(connection: sa.Connection) -> Iterable[Family]:
    m, w = monitors.c, monitor_windows.c
    query = (
        sa.select(
            projects.c.name.label("project"),
            m.endpoint.label("name"),
            m.n_windows,
            m.quality,
            m.looked_at,
            w.body,
        )
        .join(projects, projects.c.pk == m.project_pk)
        .outerjoin(monitor_windows, (w.monitor_pk == m.pk) & (w.index == m.n_windows))
        .order_by(projects.c.name, m.endpoint)
    )
    rows = connection.execute(query).all()
    looked = [(_place(row), row.looked_at.timestamp()) for row in rows if row.looked_at is not None]
    yield Family(
        name="noria_monitor_windows_total",
        kind="counter",
        help="Windows of captured rows that were looked at.",
        samples=[(_place(row), row.n_windows) for row in rows],
    )
    yield _gauge(
        "monitor_looked_at_seconds", "When a monitor last took something in, in seconds since 1970.", looked
    )
    yield from _of_windows([(_place(row), row.body) for row in rows if row.body is not None])
    found = [(_place(row), row.quality) for row in rows if row.quality is not None]
    for name, text in (
        ("mean", "Mean score of the newest labelled answers, 0 to 1."),
        ("low", "Lower end of its 95 % interval."),
        ("high", "Upper end of its 95 % interval."),
        ("reference", "Mean score on held-out rows at registration."),
    ):
        samples = [(labels, getattr(quality, name)) for labels, quality in found]
        yield _gauge(f"monitor_quality_{name}", text, samples)


def _of_labels(connection: sa.Connection, now: datetime) -> Iterable[Family]:
    d, m = monitor_label_delays.c, monitors.c
    query = (
        sa.select(projects.c.name.label("project"), m.endpoint.label("name"), d.body)
        .join(monitors, m.pk == d.monitor_pk)
        .join(projects, projects.c.pk == m.project_pk)
        .order_by(projects.c.name, m.endpoint)
    )
    told = [(_place(row), delay_report(row.body, now)) for row in connection.execute(query)]
    known = [(labels, found) for labels, found in told if found.median_s is not None]
    delays = [
        ({**labels, "quantile": quantile}, value)
        for labels, found in known
        for quantile, value in (("0.5", found.median_s or 0.0), ("0.95", found.high_s or 0.0))
    ]
    yield _gauge("monitor_label_delay_seconds", "Delay within which a share of the labels comes.", delays)
    shares = [(labels, found.label_share) for labels, found in known if found.label_share is not None]
    yield _gauge("monitor_label_share", "Share of the answered rows that get a label in the end.", shares)


def _of_windows(found: Sequence[tuple[Labels, Window]]) -> Iterable[Family]:
    compared = [(labels, window.drift) for labels, window in found if window.drift is not None]
    drifted = [(labels, float(drift.n_drifted)) for labels, drift in compared]
    psi = [(labels, drift.columns[0].psi) for labels, drift in compared if drift.columns]
    errors = [(labels, window.n_errors / window.n_rows) for labels, window in found if window.n_rows]
    yield _gauge("monitor_drifted_inputs", "Inputs that drifted in the newest window.", drifted)
    yield _gauge("monitor_psi", "Population stability index of the input that moved most, in nats.", psi)
    yield _gauge("monitor_error_share", "Share of the newest window that failed.", errors)


def _of_alerts(connection: sa.Connection) -> Iterable[Family]:
    c = alerts.c
    opened = sa.func.sum(sa.case((c.closed_at.is_(None), 1), else_=0)).label("n_open")
    query = (
        sa.select(
            projects.c.name.label("project"),
            c.endpoint.label("name"),
            c.kind,
            opened,
            sa.func.count().label("n"),
        )
        .join(projects, projects.c.pk == c.project_pk)
        .group_by(projects.c.name, c.endpoint, c.kind)
        .order_by(projects.c.name, c.endpoint, c.kind)
    )
    rows = connection.execute(query).all()
    labelled = [({**_place(row), "kind": row.kind}, row) for row in rows]
    yield _gauge("alerts_open", "Alerts that are open.", [(labels, row.n_open) for labels, row in labelled])
    yield Family(
        name="noria_alerts_total",
        kind="counter",
        help="Alerts that were raised.",
        samples=[(labels, row.n) for labels, row in labelled],
    )
    groups = sa.select(sa.func.count()).where(alert_groups.c.closed_at.is_(None))
    yield _gauge(
        "alert_groups_open",
        "Groups of alerts that are not over.",
        [({}, connection.execute(groups).scalar_one())],
    )
    n = alert_notices.c
    told = sa.select(n.receiver, n.status, sa.func.count()).group_by(n.receiver, n.status)
    yield _gauge(
        "alert_notices",
        "Notices by receiver, and by what became of them.",
        [
            ({"receiver": receiver, "status": status}, count)
            for receiver, status, count in connection.execute(told.order_by(n.receiver, n.status))
        ],
    )


def _gauge(name: str, text: str, samples: Sequence[tuple[Labels, float]]) -> Family:
    return Family(name=f"noria_{name}", kind="gauge", help=text, samples=list(samples))


def _place(row: Any) -> Labels:
    return {"project": row.project, "endpoint": row.name}
