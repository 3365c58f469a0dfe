"""A model server tells how much of its machine it uses."""

from __future__ import annotations

from collections.abc import Callable

from noria.core.workspace import InProcess, Workspace
from noria.monitoring.prometheus.metrics import exposition
from noria.serving.client import deploy
from noria.serving.plans import ServerStanding
from noria.serving.service import Endpoints
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until


def test_a_model_server_tells_its_memory_and_processor_time(
    workspace: Workspace, start_server: Callable[..., RunningProcess]
) -> None:
    """Of all its processes, at each sign of life; the page and Prometheus show it."""
    deploy("flowers@1", workspace=workspace)
    start_server(free_port())

    def standing() -> ServerStanding | None:
        servers = workspace.service(Endpoints).servers().items
        told = servers[0].standing if servers else None
        return told if told is not None and told.memory_bytes else None

    found = wait_until(standing, 60)
    assert found is not None
    # An interpreter with the model library is not smaller, and a model of flowers not larger.
    assert 30_000_000 < found.memory_bytes < 4_000_000_000
    assert found.cpu_s > 0.1
    assert isinstance(workspace.backend, InProcess)
    shown = exposition(workspace.backend.context).decode()
    assert "noria_model_server_memory_bytes{" in shown
    assert "noria_model_server_cpu_seconds_total{" in shown
