"""What a shadow predicts beside a version that answers, and what two versions answer in turn."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.context import Context
from noria.core.workspace import Workspace, open_context
from noria.registry.client import register
from noria.registry.consents import Consents
from noria.serving.client import deploy
from noria.serving.entities import Cascade, Deployment, RolloutStep, Strategy
from noria.serving.predictions import CapturedRow, CaptureRole
from noria.serving.rollouts.passage import advance
from noria.serving.service import Captures, Cascades, Endpoints
from support.model_server import LiveModelServer, row_input
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until

Rows = list[list[float]]

pytestmark = pytest.mark.timeout(600)
"""A process of low priority is slow to start on a machine that is busy."""

PATIENCE_S = 240


@pytest.fixture
def context(live: LiveModelServer) -> Iterator[Context]:
    """Give what the control loop moves rollouts with."""
    opened = open_context(load_settings(workspace=str(live.folder), environ={}), SystemClock())
    yield opened
    opened.database.dispose()


def _captured(workspace: Workspace, endpoint: str, role: CaptureRole) -> dict[str, CapturedRow]:
    found: dict[str, CapturedRow] = {}
    after, more = 0, True
    while more:
        page = workspace.service(Captures).read("default", endpoint, after=after, limit=1000, role=role)
        assert not found.keys() & {row.prediction.id for row in page.items}
        found |= {row.prediction.id: row for row in page.items}
        after, more = page.next, page.more
    return found


def _ask(live: LiveModelServer, endpoint: str, rows: Rows, version: int | None = None) -> dict[str, Any]:
    place = endpoint if version is None else f"{endpoint}/versions/{version}"
    answer = live.http.post(f"/v2/models/{place}/infer", json={"inputs": [row_input(rows)]})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _followed(live: LiveModelServer, endpoint: str) -> bool:
    revision = live.workspace.service(Endpoints).get("default", endpoint).revision
    return bool(live.http.get("/status").json()["endpoints"].get(endpoint, {}).get("revision") == revision)


def _begin_shadow(workspace: Workspace, context: Context, model: str = "flowers") -> int:
    """Begin a rollout of version 2 as a shadow, and give the revision from which on it predicts along."""
    step = RolloutStep(weight=1.0, bake_s=3600, min_requests=1_000_000)
    wish = Deployment(model=model, version=2, strategy=Strategy.SHADOW, steps=[step])
    rollout = workspace.service(Endpoints).deploy("default", model, wish)

    def mirrored() -> int:
        advance(context, rollout.id)
        found = workspace.service(Endpoints).get("default", model)
        return found.revision if found.shadows else 0

    return wait_until(mirrored, PATIENCE_S)


def _shadower(live: LiveModelServer) -> int:
    """Give the process that predicts shadows; 0 when there is none."""
    found = [
        child.pid
        for child in psutil.Process(live.process.pid).children(recursive=True)
        if "noria.serving.modelserver.shadower" in child.cmdline()
    ]
    return found[0] if found else 0


def test_a_shadow_predicts_what_another_version_answers(live: LiveModelServer, context: Context) -> None:
    """Every request once, through a kill of the process that predicts, kept apart from the answers and judged too."""
    workspace = live.workspace
    revision = _begin_shadow(workspace, context)
    wait_until(lambda: _followed(live, "flowers"), PATIENCE_S)
    generator = np.random.default_rng(3)
    answered: dict[str, int] = {}

    def ask(n_rows: int) -> None:
        rows = generator.integers(0, 5, (n_rows, 4)).astype(float).tolist()
        answer = _ask(live, "flowers", rows)
        assert answer["model_version"] == "1"
        # What the shadow is to predict, asked of it directly: such a request is an answer too, and has no shadow.
        direct = _ask(live, "flowers", rows, 2)["outputs"][0]["data"]
        answered.update(zip(answer["parameters"]["prediction_ids"], direct, strict=True))

    for n_rows in (1, 3, 1, 300):
        ask(n_rows)
    victim = wait_until(lambda: _shadower(live), PATIENCE_S)
    os.kill(victim, signal.SIGKILL)
    for _ in range(40):
        ask(1)
    wait_until(
        lambda: _captured(workspace, "flowers", CaptureRole.SHADOW).keys() >= answered.keys(), PATIENCE_S
    )

    shadows = _captured(workspace, "flowers", CaptureRole.SHADOW)
    answers = _captured(workspace, "flowers", CaptureRole.ANSWER)
    assert shadows.keys() == answered.keys()
    assert {key: row.prediction.outputs["predictions"] for key, row in shadows.items()} == answered
    assert {(row.prediction.version, row.prediction.revision) for row in shadows.values()} == {(2, revision)}
    assert len(answers) == 2 * len(shadows)
    assert workspace.service(Captures).stats("default", "flowers").of(2).n_rows == 2 * len(shadows)
    assert _shadower(live) != victim
    assert "noria_serving_shadows_dropped_total 0.0" in live.http.get("/metrics").text
    status = live.http.get("/status").json()["shadows"]
    assert status["n_dropped"] == 0
    assert status["n_predicted"] >= 44


CODE = """
import time
import noria

class Moody(noria.PythonModel):
    task = "regression"

    def __init__(self, hangs):
        self.hangs = hangs

    def predict(self, inputs):
        while self.hangs and (inputs["x"] == 666).any():
            time.sleep(0.01)
        return inputs["x"].sum(axis=1)

    def save(self, folder):
        (folder / "hangs").write_text(self.hangs)

    @classmethod
    def load(cls, folder):
        return cls((folder / "hangs").read_text())
"""


def test_a_shadow_that_hangs_is_replaced_and_what_it_hung_at_is_dropped(
    workspace: Workspace,
    folder: Path,
    start_server: Callable[..., RunningProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is counted; what comes afterwards is predicted, and callers notice nothing."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "moody.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "project")
    moody, x = importlib.import_module("moody").Moody, np.ones((50, 4))
    for version, hangs in ((1, ""), (2, "yes")):
        register(moody(hangs), "moody", x=x, y=x.sum(axis=1), workspace=workspace)
        workspace.service(Consents).give("default", "moody", version)
    sys.modules.pop("moody")
    deploy("moody@1", workspace=workspace)
    opened = open_context(load_settings(workspace=str(folder), environ={}), SystemClock())
    port = free_port()
    child = start_server(port, "--hung-after-s", "5")
    live = LiveModelServer(port, folder, workspace, child)
    _begin_shadow(workspace, opened, "moody")
    opened.database.dispose()
    wait_until(lambda: _followed(live, "moody"), PATIENCE_S)

    hung = _ask(live, "moody", [[666.0] * 4])["id"]
    wait_until(lambda: live.http.get("/status").json()["shadows"]["n_dropped"] == 1, PATIENCE_S)
    others = {_ask(live, "moody", [[float(n)] * 4])["id"] for n in range(5)}
    wait_until(lambda: _captured(workspace, "moody", CaptureRole.SHADOW).keys() >= others, PATIENCE_S)

    assert _captured(workspace, "moody", CaptureRole.SHADOW).keys() == others
    assert _captured(workspace, "moody", CaptureRole.ANSWER).keys() == {hung, *others}
    assert live.http.get("/status").json()["shadows"]["n_dropped"] == 1
    live.http.close()


def test_the_second_version_answers_what_the_first_is_not_sure_of(live: LiveModelServer) -> None:
    """Of a request with several rows all must be sure; what raises is not; each answer names its version."""
    deploy("flowers@1", endpoint="turns", workspace=live.workspace)
    wish = Cascade(first=3, second=1, min_confidence=0.9)
    live.workspace.service(Cascades).set("default", "turns", wish)
    wait_until(lambda: _followed(live, "turns"), PATIENCE_S)
    rows = np.random.default_rng(8).integers(0, 5, (60, 4)).astype(float).tolist()
    outputs = {each["name"]: each for each in _ask(live, "turns", rows, 3)["outputs"]}
    sure = np.reshape(outputs["probabilities"]["data"], (60, -1)).max(axis=1) >= 0.9
    assert 5 < sum(sure) < 55
    one_sure, one_not = rows[int(np.argmax(sure))], rows[int(np.argmin(sure))]

    asked = [*[[row] for row in rows], [one_sure, one_sure], [one_sure, one_not], [[9.0, 0.0, 0.0, 0.0]]]
    wanted = [*np.where(sure, "3", "1"), "3", "1", "1"]
    answers = [_ask(live, "turns", some) for some in asked]

    assert [answer["model_version"] for answer in answers] == wanted
    for some, answer in zip(asked[-4:], answers[-4:], strict=True):
        direct = _ask(live, "turns", some, int(answer["model_version"]))
        assert answer["outputs"] == direct["outputs"]
    not_sure = {
        key
        for answer, version in zip(answers, wanted, strict=True)
        if version == "1"
        for key in answer["parameters"]["prediction_ids"]
    }
    wait_until(lambda: _captured(live.workspace, "turns", CaptureRole.FIRST).keys() >= not_sure, PATIENCE_S)
    firsts = _captured(live.workspace, "turns", CaptureRole.FIRST)
    assert firsts.keys() == not_sure
    assert {row.prediction.version for row in firsts.values()} == {3}
    assert [key for key, row in firsts.items() if row.prediction.error] == [answers[-1]["id"]]
    n_answered = len(rows) + sum(map(len, asked)) + sum(map(len, asked[-4:]))
    wait_until(lambda: len(_captured(live.workspace, "turns", CaptureRole.ANSWER)) == n_answered, PATIENCE_S)
    stats = live.workspace.service(Captures).stats("default", "turns")
    assert stats.of(1).n_errors == stats.of(3).n_errors == 0
    assert stats.of(3).n_requests == 1 + wanted.count("3") + wanted[-4:].count("3")
    report = live.workspace.service(Cascades).report("default", "turns")
    n_sure, n_all = stats.of(3).n_requests, stats.of(3).n_requests + stats.of(1).n_requests
    assert (report.first.version, report.first.share) == (3, n_sure / n_all)
    assert live.http.get("/status").json()["endpoints"]["turns"]["cascade"]["first"] == 3
