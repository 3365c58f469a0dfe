"""What Prometheus reads of a workspace, and the rules and the dashboard that go with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from noria.cli.main import main
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.monitoring.entities import (
    AlertKind,
    ColumnDrift,
    DriftReport,
    Look,
    NewAlert,
    QualityReport,
    Window,
)
from noria.monitoring.prometheus.dashboard import dashboard
from noria.monitoring.prometheus.metrics import exposition
from noria.monitoring.prometheus.rules import RULES, rules_file
from noria.monitoring.service import Monitors
from noria.serving.entities import Deployment
from noria.serving.plans import AppliedPlan, ServerReport, ServerStanding
from noria.serving.predictions import CaptureBatch
from noria.serving.service import Captures, Endpoints
from support.conformance import open_test_context, workspace_settings
from support.serving import predictions, register_version

AT = datetime(2030, 1, 1, tzinfo=UTC)
OF_MODEL_SERVERS = {"noria_serving_latency_seconds_bucket"}
_NAMES = re.compile(r"\bnoria_[a-z_]+")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Give a workspace with an endpoint in trouble, whose name is hard to quote."""
    with open_test_context(workspace_settings(tmp_path / "workspace"), ManualClock(AT)) as opened:
        register_version(Workspace(opened.settings, InProcess(opened), opened.clock))
        endpoints = opened.service(Endpoints)
        endpoints.deploy("default", "digits", Deployment(model="digits", version=1))
        applied = [AppliedPlan(project="default", endpoint="digits", revision=1)]
        standing = ServerStanding(
            n_workers=2, waiting_bytes=512, disk_full=True, memory_bytes=3_000_000, cpu_s=1.5
        )
        endpoints.report(
            ServerReport(server='o"ne\\', url=None, endpoints=applied, n_dropped=3, standing=standing)
        )
        rows = [*predictions(["a", "b", "c"]), *predictions(["d"], error="it broke")]
        opened.service(Captures).append("default", "digits", CaptureBatch(predictions=rows))
        opened.service(Monitors).watch("default", "digits")
        opened.service(Monitors).record("default", "digits", a_look())
        yield opened


def a_look() -> Look:
    column = ColumnDrift(
        name="x", test="ks", statistic=0.5, p_value=0.001, adjusted_p_value=0.002, psi=0.75, drifted=True
    )
    window = Window(
        index=1,
        version=1,
        first_position=1,
        last_position=4,
        first_at=AT,
        last_at=AT,
        n_rows=4,
        n_errors=1,
        drift=DriftReport(n_columns=2, n_drifted=1, columns=[column]),
    )
    quality = QualityReport(
        n=4,
        mean=0.8,
        low=0.7,
        high=0.9,
        recent=[],
        reference=0.95,
        reference_n=10,
        evidence=1.0,
        threshold=8.0,
    )
    alert = NewAlert(
        kind=AlertKind.DRIFT, version=1, figures={}, sentence="It moved", onset_position=1, last_position=4
    )
    return Look(
        from_position=0,
        from_label_position=0,
        position=4,
        label_position=0,
        version=1,
        windows=[window],
        detector=None,
        quality=quality,
        alerts=[alert],
    )


def test_prometheus_reads_endpoints_monitors_and_alerts(context: Context) -> None:
    """By the parser of its own client library."""
    families = list(text_string_to_metric_families(exposition(context).decode()))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }

    assert samples["noria_endpoint_requests_total", "1", "default", "digits"] == 4
    assert samples["noria_endpoint_errors_total", "1", "default", "digits"] == 1
    assert samples["noria_endpoint_servers", "default", "digits"] == 1
    assert samples["noria_model_server_disk_full", 'o"ne\\'] == 1
    assert samples["noria_model_server_waiting_bytes", 'o"ne\\'] == 512
    assert samples["noria_model_server_memory_bytes", 'o"ne\\'] == 3_000_000
    assert samples["noria_model_server_cpu_seconds_total", 'o"ne\\'] == 1.5
    assert samples["noria_monitor_windows_total", "default", "digits"] == 1
    assert samples["noria_monitor_looked_at_seconds", "default", "digits"] == AT.timestamp()
    assert samples["noria_monitor_drifted_inputs", "default", "digits"] == 1
    assert samples["noria_monitor_psi", "default", "digits"] == 0.75
    assert samples["noria_monitor_error_share", "default", "digits"] == 0.25
    assert samples["noria_monitor_quality_low", "default", "digits"] == 0.7
    assert samples["noria_alerts_open", "default", "digits", "drift"] == 1
    assert samples["noria_alert_groups_open",] == 1
    assert all(family.documentation for family in families)


def test_every_query_is_about_metrics_that_there_are(context: Context) -> None:
    """Of the rules and of the dashboard."""
    text = exposition(context).decode()
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} | OF_MODEL_SERVERS
    asked = [rule.expr for rule in RULES]
    asked += [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    asked += [each["query"]["query"] for each in dashboard()["templating"]["list"][1:]]
    names = {name for query in asked for name in _NAMES.findall(query)}

    assert len(names) > 12
    assert names <= shown


def test_rules_and_dashboard_are_written_to_a_folder(tmp_path: Path) -> None:
    """They read back as what was meant."""
    folder = tmp_path / "prometheus"
    code = main(["monitors", "prometheus", "--out", str(folder), "--server", "noria.internal:7777"])
    rules = yaml.safe_load((folder / "noria-rules.yml").read_text())["groups"][0]["rules"]
    scraped = yaml.safe_load((folder / "prometheus.yml").read_text())

    assert code == 0
    assert (folder / "noria-rules.yml").read_text() == rules_file()
    assert [(rule["alert"], rule["expr"]) for rule in rules] == [(rule.name, rule.expr) for rule in RULES]
    assert scraped["scrape_configs"][0]["static_configs"] == [{"targets": ["noria.internal:7777"]}]
    assert json.loads((folder / "noria-dashboard.json").read_text()) == dashboard()
