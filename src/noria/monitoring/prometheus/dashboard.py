"""A dashboard for Grafana, as JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = '{project=~"$project",endpoint=~"$endpoint"}'
_LATENCIES = f"sum by (le, endpoint) (rate(noria_serving_latency_seconds_bucket{_CHOSEN}[$__rate_interval]))"
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A chart: its queries with their legends."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"


def _rate(what: str) -> str:
    return f"sum by (endpoint) (rate(noria_endpoint_{what}_total{_CHOSEN}[$__rate_interval]))"


PANELS = (
    Panel(
        title="Open alerts",
        kind="stat",
        queries=((f"sum by (kind) (noria_alerts_open{_CHOSEN})", "{{kind}}"),),
    ),
    Panel(
        title="Requests",
        unit="reqps",
        queries=(
            (
                f"sum by (endpoint, version) (rate(noria_endpoint_requests_total{_CHOSEN}[$__rate_interval]))",
                "{{endpoint}} {{version}}",
            ),
        ),
    ),
    Panel(
        title="Requests that failed",
        unit="percentunit",
        queries=(
            (
                f"{_rate('errors')} / {_rate('requests')}",
                "{{endpoint}}",
            ),
        ),
    ),
    Panel(
        title="Latency of model servers",
        unit="s",
        queries=tuple(
            (
                f"histogram_quantile({q}, {_LATENCIES})",
                f"{{{{endpoint}}}} p{q * 100:g}",
            )
            for q in (0.5, 0.95, 0.99)
        ),
    ),
    Panel(
        title="Quality of the newest labelled answers",
        unit="percentunit",
        queries=tuple(
            (f"noria_monitor_quality_{name}{_CHOSEN}", f"{{{{endpoint}}}} {name}")
            for name in ("mean", "low", "high", "reference")
        ),
    ),
    Panel(
        title="Inputs that drifted in the newest window",
        queries=((f"noria_monitor_drifted_inputs{_CHOSEN}", "{{endpoint}}"),),
    ),
    Panel(
        title="Largest population stability index",
        queries=((f"noria_monitor_psi{_CHOSEN}", "{{endpoint}}"),),
    ),
    Panel(
        title="Labels",
        unit="short",
        queries=(
            (
                _rate("labels"),
                "{{endpoint}}",
            ),
        ),
    ),
    Panel(
        title="Delay of labels",
        unit="s",
        queries=((f"noria_monitor_label_delay_seconds{_CHOSEN}", "{{endpoint}} {{quantile}}"),),
    ),
    Panel(
        title="Model servers",
        queries=((f"noria_endpoint_servers{_CHOSEN}", "{{endpoint}}"),),
    ),
    Panel(
        title="Waiting on the disks of model servers",
        unit="bytes",
        queries=(("noria_model_server_waiting_bytes", "{{server}}"),),
    ),
    Panel(
        title="Processors that model servers keep busy",
        queries=(("rate(noria_model_server_cpu_seconds_total[$__rate_interval])", "{{server}}"),),
    ),
    Panel(
        title="Memory of model servers",
        unit="bytes",
        queries=(("noria_model_server_memory_bytes", "{{server}}"),),
    ),
    Panel(
        title="Warnings and errors that model servers logged",
        queries=(
            (
                "sum by (server, level) (rate(noria_model_server_log_lines_total[$__rate_interval]))",
                "{{server}} {{level}}",
            ),
        ),
    ),
    Panel(
        title="Notices",
        queries=(("noria_alert_notices", "{{receiver}} {{status}}"),),
    ),
)


def dashboard() -> dict[str, Any]:
    """Give the dashboard as Grafana imports it (schema 39: Grafana 10.4 and later)."""
    return {
        "uid": "noria",
        "title": "Noria",
        "tags": ["noria"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source_variable(), *(_variable(name) for name in ("project", "endpoint"))]},
        "panels": [_panel(index, panel) for index, panel in enumerate(PANELS)],
    }


def dashboard_file() -> bytes:
    """Give the dashboard's text."""
    return msgspec.json.format(msgspec.json.encode(dashboard()), indent=2) + b"\n"


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": index + 1,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {
            "h": _HEIGHT,
            "w": _WIDTH,
            "x": index % _COLUMNS * _WIDTH,
            "y": index // _COLUMNS * _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for number, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _variable(name: str) -> dict[str, Any]:
    within = '{project=~"$project"}' if name == "endpoint" else ""
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values(noria_endpoint_servers{within}, {name})", "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
