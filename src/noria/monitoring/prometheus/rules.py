"""Alert rules for Prometheus, as the text of a rules file. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from noria.core.serialisation import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert of Prometheus.

    Attributes
    ----------
    for_
        How long the expression has to hold, as Prometheus writes it.
    what, next_
        What is told, and which command looks further; both are templates of Prometheus.
    """

    name: str
    expr: str
    for_: str
    severity: str
    what: str
    next_: str


_WHERE = "{{ $labels.project }}/{{ $labels.endpoint }}"

RULES = (
    Rule(
        name="NoriaAlert",
        expr="max by (project, endpoint, kind) (noria_alerts_open) > 0",
        for_="0m",
        severity="critical",
        what=f"An alert about {{{{ $labels.kind }}}} of {_WHERE} is open",
        next_="noria monitors alerts --open --endpoint {{ $labels.endpoint }} --project {{ $labels.project }}",
    ),
    Rule(
        name="NoriaErrors",
        expr=(
            "sum by (project, endpoint) (rate(noria_endpoint_errors_total[5m]))"
            " / sum by (project, endpoint) (rate(noria_endpoint_requests_total[5m])) > 0.05"
        ),
        for_="5m",
        severity="warning",
        what=f"{{{{ $value | humanizePercentage }}}} of the requests to {_WHERE} fail",
        next_="noria endpoints show {{ $labels.endpoint }} --project {{ $labels.project }}",
    ),
    Rule(
        name="NoriaEndpointUnserved",
        expr=(
            "noria_endpoint_servers == 0 and on (project, endpoint)"
            " sum by (project, endpoint) (noria_endpoint_rows_total) > 0"
        ),
        for_="2m",
        severity="critical",
        what=f"No model server answers for {_WHERE}",
        next_="noria serve",
    ),
    Rule(
        name="NoriaModelServerDiskFull",
        expr="max by (server) (noria_model_server_disk_full) > 0",
        for_="1m",
        severity="critical",
        what="The disk of the model server {{ $labels.server }} is full; it cannot keep what it answers",
        next_="noria endpoints list",
    ),
    Rule(
        name="NoriaModelServerLogsErrors",
        expr='sum by (server) (increase(noria_model_server_log_lines_total{level="error"}[5m])) > 20',
        for_="5m",
        severity="warning",
        what="The model server {{ $labels.server }} logged {{ $value | humanize }} errors in five minutes",
        next_="noria endpoints list",
    ),
    Rule(
        name="NoriaMonitorStalled",
        expr=(
            "time() - noria_monitor_looked_at_seconds > 3600 and on (project, endpoint)"
            " sum by (project, endpoint) (increase(noria_endpoint_rows_total[1h])) > 2000"
        ),
        for_="10m",
        severity="warning",
        what=f"Nobody has looked at {_WHERE} for {{{{ $value | humanizeDuration }}}}, though it answers",
        next_="noria jobs list --project {{ $labels.project }}",
    ),
    Rule(
        name="NoriaNoticesWait",
        expr='max by (receiver) (noria_alert_notices{status="waiting"}) > 0',
        for_="30m",
        severity="warning",
        what="The receiver {{ $labels.receiver }} takes no notices",
        next_="noria monitors receivers",
    ),
    Rule(
        name="NoriaDown",
        expr='up{job="noria"} == 0',
        for_="2m",
        severity="critical",
        what="The server {{ $labels.instance }} does not answer",
        next_="noria server",
    ),
)


def rules_file() -> str:
    """Give a rules file; YAML reads the quoted texts of JSON as they are."""
    lines = ["groups:", "  - name: noria", "    rules:"]
    for rule in RULES:
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: {_quoted(rule.expr)}",
            f"        for: {rule.for_}",
            "        labels:",
            f"          severity: {rule.severity}",
            "        annotations:",
            f"          summary: {_quoted(rule.what)}",
            f"          next: {_quoted(rule.next_)}",
        ]
    return "\n".join(lines) + "\n"


def scrape_file(server: str, models: tuple[str, ...]) -> str:
    """Give a configuration that reads a server and its model servers.

    Parameters
    ----------
    server, models
        `host:port` of each.
    """
    return f"""# Paths are relative to this file. A server with users needs a token of one who may read every project.
scrape_configs:
  - job_name: noria
    metrics_path: /metrics
    # authorization: {{credentials_file: noria-token}}
    static_configs:
      - targets: [{_quoted(server)}]
  - job_name: noria-models
    static_configs:
      - targets: [{", ".join(map(_quoted, models))}]
rule_files:
  - noria-rules.yml
"""


def _quoted(text: str) -> str:
    return to_json(text).decode()
