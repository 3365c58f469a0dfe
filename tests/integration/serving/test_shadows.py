"""What a shadow predicts beside a version that answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.context import Context
from noria.core.workspace import Workspace, open_context
from noria.serving.client import deploy
from noria.serving.entities import Deployment, RolloutStep, Strategy
from noria.serving.predictions import CapturedRow, CaptureRole
from noria.serving.rollouts.passage import advance
from noria.serving.service import Captures, Endpoints
from support.model_server import row_input
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until

Start = Callable[..., RunningProcess]


def _rows(workspace: Workspace, role: CaptureRole) -> dict[str, CapturedRow]:
    found: dict[str, CapturedRow] = {}
    after, more = 0, True
    while more:
        page = workspace.service(Captures).read("default", "flowers", after=after, limit=1000, role=role)
        assert not found.keys() & {row.prediction.id for row in page.items}
        found |= {row.prediction.id: row for row in page.items}
        after, more = page.next, page.more
    return found


@pytest.fixture
def context(folder: Path) -> Iterator[Context]:
    """Give what the control loop moves rollouts with."""
    opened = open_context(load_settings(workspace=str(folder), environ={}), SystemClock())
    yield opened
    opened.database.dispose()


def _begin_shadow(workspace: Workspace, context: Context) -> int:
    """Begin a rollout of version 2 as a shadow, and give the revision from which on it predicts along."""
    step = RolloutStep(weight=1.0, bake_s=3600, min_requests=1_000_000)
    wish = Deployment(model="flowers", version=2, strategy=Strategy.SHADOW, steps=[step])
    rollout = workspace.service(Endpoints).deploy("default", "flowers", wish)

    def mirrored() -> int:
        advance(context, rollout.id)
        found = workspace.service(Endpoints).get("default", "flowers")
        return found.revision if found.shadows else 0

    return wait_until(mirrored, 60)


def test_a_shadow_predicts_what_another_version_answers(
    workspace: Workspace, context: Context, start_server: Start
) -> None:
    """Every request once, through a kill of the process that predicts, kept apart from the answers and judged too."""
    port = free_port()
    deploy("flowers@1", workspace=workspace)
    child = start_server(port)
    revision = _begin_shadow(workspace, context)
    generator = np.random.default_rng(3)
    answered: dict[str, list[int]] = {}

    def followed() -> bool:
        return bool(http.get("/status").json()["endpoints"]["flowers"]["revision"] == revision)

    def ask(n_rows: int) -> None:
        rows = generator.integers(0, 5, (n_rows, 4)).astype(float).tolist()
        answer = http.post("/v2/models/flowers/infer", json={"inputs": [row_input(rows)]}).json()
        assert answer["model_version"] == "1"
        # What the shadow is to predict, asked of it directly: such a request is an answer too, and has no shadow.
        direct = http.post("/v2/models/flowers/versions/2/infer", json={"inputs": [row_input(rows)]}).json()
        answered.update(
            zip(answer["parameters"]["prediction_ids"], direct["outputs"][0]["data"], strict=True)
        )

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        wait_until(followed, 60)
        for n_rows in (1, 3, 1, 300):
            ask(n_rows)
        victim = wait_until(lambda: _shadower(child), 60)
        os.kill(victim, signal.SIGKILL)
        for _ in range(40):
            ask(1)
        wait_until(lambda: _rows(workspace, CaptureRole.SHADOW).keys() >= answered.keys(), 90)
        shown = http.get("/metrics").text
        status = http.get("/status").json()["shadows"]

    shadows, answers = _rows(workspace, CaptureRole.SHADOW), _rows(workspace, CaptureRole.ANSWER)
    assert shadows.keys() == answered.keys()
    assert {key: row.prediction.outputs["predictions"] for key, row in shadows.items()} == answered
    assert {(row.prediction.version, row.prediction.revision) for row in shadows.values()} == {(2, revision)}
    assert len(answers) == 2 * len(shadows)
    assert workspace.service(Captures).stats("default", "flowers").of(2).n_rows == 2 * len(shadows)
    assert "noria_serving_shadows_dropped_total 0.0" in shown
    assert status["n_dropped"] == 0
    assert status["n_predicted"] >= 44
    assert _shadower(child) != victim


def _shadower(server: RunningProcess) -> int:
    """Give the process that predicts shadows; 0 when there is none."""
    found = [
        child.pid
        for child in psutil.Process(server.pid).children(recursive=True)
        if "noria.serving.modelserver.shadower" in child.cmdline()
    ]
    return found[0] if found else 0
