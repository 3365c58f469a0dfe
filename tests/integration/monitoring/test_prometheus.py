"""A real Prometheus reads a real server, fires its rules, and its Alertmanager tells a real receiver."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.control.lock import read_server_info
from noria.core.workspace import open_workspace
from noria.monitoring.entities import AlertKind, Look, NewAlert
from noria.monitoring.prometheus.dashboard import dashboard
from noria.monitoring.prometheus.rules import RULES
from noria.monitoring.service import Monitors
from support.other_side import other_side, say
from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
CHOICES = {"$__rate_interval": "1m", "$project": ".*", "$endpoint": ".*"}

pytestmark = pytest.mark.soak


@pytest.fixture(autouse=True)
def programs() -> None:
    """Skip with the reason where they are not installed (fail if `TEST_SERVICES=required`)."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing and os.environ.get("TEST_SERVICES") == "required":
        pytest.fail(f"{missing} are required (TEST_SERVICES=required)", pytrace=False)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt: prometheus prometheus-alertmanager)")


def a_look() -> Look:
    alert = NewAlert(
        kind=AlertKind.DRIFT, version=1, figures={}, sentence="It moved", onset_position=1, last_position=4
    )
    return Look(
        from_position=0,
        from_label_position=0,
        position=4,
        label_position=0,
        version=1,
        windows=[],
        detector=None,
        quality=None,
        alerts=[alert],
    )


def checked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_alert_goes_by_way_of_prometheus_to_a_receiver(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """Every query of the rules and of the dashboard is one that Prometheus runs."""
    (tmp_path / ".noria").mkdir()
    noria = processes.start([*noria_command, "server", "--port", "0"], name="server", cwd=tmp_path)
    noria.wait_for_output("Noria answers at ")
    info = read_server_info(tmp_path / ".noria")
    assert info is not None
    with open_workspace(load_settings(environ={}, folder=tmp_path)) as workspace:
        workspace.service(Monitors).watch("default", "digits")
        workspace.service(Monitors).record("default", "digits", a_look())
    at = info.url.removeprefix("http://")
    main(["monitors", "prometheus", "--out", str(tmp_path), "--server", at])
    with other_side(say(200)) as receiver:
        ports = free_port(), free_port()
        _configure(tmp_path, ports[1], receiver.port)
        checked("promtool", "check", "rules", str(tmp_path / "noria-rules.yml"))
        checked("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
        checked("amtool", "check-config", str(tmp_path / "alertmanager.yml"))
        _start(processes, tmp_path, ports)
        url = f"http://127.0.0.1:{ports[0]}/api/v1"
        wait_until(lambda: _asked(url, "noria_alerts_open"), timeout_s=120, message="nothing was scraped")
        answers = {query: _asked(url, query) for query in _queries()}
        wait_until(lambda: receiver.requests, timeout_s=120, message="nobody was told")
        told = json.loads(receiver.requests[0][3])["alerts"][0]
        rules = httpx.get(f"{url}/rules").json()["data"]["groups"][0]["rules"]

    alert = "max by (project, endpoint, kind) (noria_alerts_open) > 0"
    assert [found["metric"] for found in answers[alert]] == [
        {"project": "default", "endpoint": "digits", "kind": "drift"}
    ]
    assert told["labels"]["alertname"] == "NoriaAlert"
    assert told["annotations"]["summary"] == "An alert about drift of default/digits is open"
    assert told["annotations"]["next"].endswith("--endpoint digits --project default")
    assert {rule["name"]: rule["health"] for rule in rules} == {rule.name: "ok" for rule in RULES}


def _queries() -> list[str]:
    found = [rule.expr for rule in RULES]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            expr: str = target["expr"]
            for name, value in CHOICES.items():
                expr = expr.replace(name, value)
            assert not re.search(r"\$\w", expr)
            found.append(expr)
    return found


def _asked(url: str, query: str) -> list[dict[str, object]]:
    try:
        answer = httpx.get(f"{url}/query", params={"query": query}, timeout=30).json()
    except httpx.TransportError:
        return []  # it is not up yet
    assert answer["status"] == "success", f"{query}: {answer}"
    found: list[dict[str, object]] = answer["data"]["result"]
    return found


def _configure(folder: Path, alertmanager: int, receiver: int) -> None:
    written = (folder / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n{written}"
    )
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: hook, group_wait: 0s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{receiver}/'}}]}}]\n"
    )


def _start(processes: Processes, folder: Path, ports: tuple[int, int]) -> None:
    processes.start(
        [
            "prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'am'}",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
            "--cluster.listen-address=",
        ]
    )
    processes.start(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
        ]
    )
