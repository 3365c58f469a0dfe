"""What a model server logs reaches the control server, from workers that were killed too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from noria.cli.main import main
from noria.core.workspace import Workspace
from noria.serving.client import deploy
from noria.serving.service import Endpoints, ServiceLogs
from support.model_server import row_input
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until


def test_errors_of_a_model_and_deaths_of_workers_are_counted(
    workspace: Workspace,
    folder: Path,
    start_server: Callable[..., RunningProcess],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By level, with the newest line; the counts of a worker that was killed are not lost with it."""
    deploy("flowers@3", endpoint="picky", workspace=workspace)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start_server(port)
    body = {"inputs": [row_input([[99.0, 0.0, 0.0, 0.0]])]}
    raised = httpx.post(f"{url}/v2/models/picky/infer", json=body, trust_env=False, timeout=30)
    assert raised.status_code == 422

    def standing() -> Any:
        servers = workspace.service(Endpoints).servers().items
        return servers[0].standing if servers else None

    wait_until(lambda: (told := standing()) is not None and told.n_log_errors == 1, 60)
    line = standing().log_line
    (worker,) = httpx.get(f"{url}/status", trust_env=False).json()["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    wait_until(lambda: standing().n_log_warnings >= 1, 60)

    assert "model.raised" in line.text
    assert "unknown categories" in line.text
    assert standing().n_log_errors == 1
    assert "worker.ended" in standing().log_line.text
    found = workspace.service(ServiceLogs).list("default", "picky").items
    assert sum(window.n_errors for window in found) == 1
    shown = httpx.get(f"{url}/metrics", trust_env=False).text
    assert 'noria_serving_log_lines_total{level="error"} 1.0' in shown
    assert main(["endpoints", "logs", "picky", "-w", str(folder)]) == 0
    assert "worker.ended" in capsys.readouterr().out
