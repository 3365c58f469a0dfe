"""A model that hangs for good costs one worker, which is replaced; the other goes on and nothing answered is lost."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from noria.core.trust import trust_for
from noria.core.workspace import Workspace
from noria.registry.client import register
from noria.registry.consents import Consents
from noria.serving.client import deploy
from noria.serving.service import Captures
from support.model_server import row_input
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until

HANGS = 666.0
HUNG_AFTER_S = 10
CODE = f"""
import time
import noria

class Moody(noria.PythonModel):
    task = "regression"

    def __init__(self, pause_s):
        self.pause_s = pause_s

    def predict(self, inputs):
        time.sleep(self.pause_s)
        while (inputs["x"] == {HANGS}).any():
            time.sleep(0.01)
        return inputs["x"].sum(axis=1)

    def save(self, folder):
        (folder / "pause").write_text(str(self.pause_s))

    @classmethod
    def load(cls, folder):
        return cls(float((folder / "pause").read_text()))
"""


class Asker:
    """Asks on a new connection each time, so that any worker may answer, and remembers what was answered."""

    def __init__(self, url: str) -> None:
        self.answered: set[str] = set()
        self._url = url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopping.wait(0.02):
            try:
                answer = asked(self._url, 1.0, timeout_s=5)
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                self.answered.add(answer.json()["id"])


def asked(url: str, value: float, *, timeout_s: float) -> httpx.Response:
    """Ask about one row of equal values."""
    body = {"inputs": [row_input([[value] * 4])]}
    return httpx.post(f"{url}/v2/models/moody/infer", json=body, trust_env=False, timeout=timeout_s)


def ready(url: str) -> set[int]:
    """Give the two workers when both are ready; nothing when the one that was asked does not answer."""
    try:
        status = httpx.get(f"{url}/status", verify=trust_for(url), trust_env=False, timeout=2)
        workers = status.json()["workers"]
    except httpx.TransportError:
        return set()
    found = {int(worker["pid"]) for worker in workers if worker["ready"]}
    return found if len(found) == 2 else set()


def replaced(url: str, before: set[int]) -> set[int]:
    """Give the workers once another one is among them."""
    found = ready(url)
    return found if found - before else set()


def hang(url: str, into: list[Any]) -> threading.Thread:
    """Send what the model never answers."""

    def send() -> None:
        try:
            into.append(asked(url, HANGS, timeout_s=300).status_code)
        except httpx.TransportError as error:
            into.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("pause_s", "n_rounds"),
    [
        # Quick models answer in the worker's loop, slow ones in threads beside it.
        pytest.param(0.0, 1, id="smoke"),
        pytest.param(0.0, 4, id="many", marks=pytest.mark.soak),
        pytest.param(0.02, 4, id="many in threads", marks=pytest.mark.soak),
    ],
)
def test_a_model_that_hangs_costs_one_worker_and_no_answer(
    workspace: Workspace,
    start_server: Callable[..., RunningProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pause_s: float,
    n_rounds: int,
) -> None:
    """Its request is broken off, another worker comes, the other one stays, and what was answered is captured."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "moody.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "project")
    model = importlib.import_module("moody").Moody(pause_s)
    x = np.ones((50, 4))
    register(model, "moody", x=x, y=x.sum(axis=1), workspace=workspace)
    sys.modules.pop("moody")
    workspace.service(Consents).give("default", "moody", 1)
    deploy("moody@1", workspace=workspace)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start_server(port, "--workers", "2", "--hung-after-s", str(HUNG_AFTER_S))
    with Asker(url) as asker:
        for _ in range(n_rounds):
            before = wait_until(lambda: ready(url), 60)
            n_before, outcome = len(asker.answered), list[Any]()
            hung = hang(url, outcome)
            after = wait_until(lambda: replaced(url, before), 120)  # noqa: B023 - called here
            hung.join(60)
            assert outcome
            assert outcome != [200]
            assert len(before & after) == 1
            assert len(asker.answered) > n_before
    wait_until(lambda: asker.answered <= captured(workspace), 60, "not every answer was captured")


def captured(workspace: Workspace) -> set[str]:
    """Give the ids of all captured predictions."""
    found: set[str] = set()
    after = 0
    while True:
        page = workspace.service(Captures).read("default", "moody", after=after, limit=1000)
        found |= {row.prediction.id for row in page.items}
        after = page.next
        if not page.more:
            return found
