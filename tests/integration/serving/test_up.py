"""`noria up`: server, worker and model server as one, through rollouts and kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from noria.access.entities import NewToken
from noria.access.tokens import Tokens
from noria.core.permissions import Role
from noria.core.trust import trust_for
from noria.core.workspace import Workspace
from noria.serving.client import deploy, endpoint
from noria.serving.entities import RolloutStatus, RolloutStep
from noria.serving.gate_rules import Gates
from noria.serving.permissions import READ_ENDPOINTS, REPLAY
from noria.serving.service import Endpoints, Rollouts
from support.model_server import open_folder, row_input
from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

STEPS = [
    RolloutStep(weight=0.2, bake_s=1.0, min_requests=20),
    RolloutStep(weight=0.6, bake_s=1.0, min_requests=20),
]


@dataclass
class Up:
    """A running `noria up`."""

    process: RunningProcess
    folder: Path
    server_url: str
    model_url: str

    def state(self) -> dict[str, Any]:
        """Read what it wrote down about its children."""
        return dict(json.loads((self.folder / "up.json").read_text()))

    def pid(self, child: str) -> int:
        """Give the process id of a child."""
        return int(self.state()["children"][child]["pid"])

    def open(self) -> Workspace:
        """Open the workspace, which goes through the running server."""
        return open_folder(self.folder)

    def kill(self, child: str) -> int:
        """Kill a child without warning and wait until it was started again; gives its new process id."""
        pid = self.pid(child)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid(child) != pid, 30)
        return self.pid(child)


def _start(processes: Processes, noria_command: tuple[str, ...], folder: Path) -> Up:
    server_port, model_port = free_port(), free_port()
    ports = ["--port", str(server_port), "--serve-port", str(model_port)]
    process = processes.start([*noria_command, "up", "--workspace", folder, *ports], name="up")
    process.wait_for_output("Press Ctrl-C", 90)
    return Up(process, folder, f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{model_port}")


@pytest.fixture(scope="module")
def up(
    registered: Path, tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]
) -> Iterator[Up]:
    """Give a running `noria up`; each test deploys to an endpoint of its own."""
    folder = Path(shutil.copytree(registered, tmp_path_factory.mktemp("up") / "workspace"))
    processes = Processes(tmp_path_factory.mktemp("processes"))
    try:
        yield _start(processes, noria_command, folder)
    finally:
        processes.end_all()


class Traffic:
    """Requests to the endpoint, as many as it answers, and what became of each."""

    def __init__(
        self, up: Up, name: str, *, row: Callable[[np.random.Generator], list[float]] | None = None
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._url = up.model_url
        self._path = f"/v2/models/{name}/infer"
        self._row = row or (lambda generator: generator.integers(0, 5, 4).astype(float).tolist())
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,), daemon=True) for seed in range(3)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        with httpx.Client(
            base_url=self._url, verify=trust_for(self._url), trust_env=False, timeout=20
        ) as http:
            while not self._stopping.is_set():
                body = {"inputs": [row_input([self._row(generator)])]}
                try:
                    answer = http.post(self._path, json=body)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    self._stopping.wait(0.05)
                    continue
                if answer.status_code == 200:
                    self.answers[answer.headers["noria-model-version"]] += 1
                else:
                    self.failures.append(answer.text)


def _deploy_first(workspace: Workspace, name: str) -> None:
    """Make the endpoint, and wait until the model server answers for it."""
    deploy("flowers@1", endpoint=name, workspace=workspace)
    with endpoint(name, workspace=workspace) as client:
        assert client.predict(np.ones((1, 4))).version == 1


def _status(workspace: Workspace, rollout_id: str) -> RolloutStatus:
    return workspace.service(Rollouts).get("default", rollout_id).status


def test_a_canary_under_load_fails_no_request(up: Up) -> None:
    """From the first version to the second while requests come: promoted, and every request answered."""
    with up.open() as workspace:
        _deploy_first(workspace, "healthy")
        with Traffic(up, "healthy") as traffic:
            made = deploy(
                "flowers@2",
                endpoint="healthy",
                strategy="canary",
                steps=STEPS,
                alias="champion",
                workspace=workspace,
            )
            wait_until(lambda: _status(workspace, made.id).is_finished(), 90)
            before = traffic.answers["2"]
            wait_until(lambda: traffic.answers["2"] > before + 20, 30)
        ended = workspace.service(Rollouts).get("default", made.id)

    assert (ended.status, ended.reason) == (RolloutStatus.PROMOTED, "Every step passed its gates")
    assert traffic.failures == []
    assert [step.weight for step in ended.history] == [0.0, 0.2, 0.6]
    assert traffic.answers["1"] > 20


def test_a_canary_that_fails_requests_is_rolled_back(up: Up) -> None:
    """Version 3 raises on what it has not seen: the errors are counted, and the old version has all again."""
    with up.open() as workspace:
        _deploy_first(workspace, "failing")
        unseen = Traffic(
            up, "failing", row=lambda generator: [float(generator.integers(0, 9)), 1.0, 2.0, 3.0]
        )
        with unseen:
            made = deploy(
                "flowers@3", endpoint="failing", strategy="canary", steps=STEPS, workspace=workspace
            )
            wait_until(lambda: _status(workspace, made.id).is_finished(), 90)
        ended = workspace.service(Rollouts).get("default", made.id)
        shares = workspace.service(Endpoints).get("default", "failing").shares

    assert ended.status is RolloutStatus.ROLLED_BACK
    assert (ended.reason or "").startswith("errors:")
    assert [(share.version, share.weight) for share in shares] == [(1, 1.0)]
    # The value is named where one is to blame and the search for it does not keep other requests waiting.
    told = ("cannot take the value", "raised on this request")
    assert all(any(words in failure for words in told) for failure in unseen.failures), unseen.failures[:3]


def test_a_rollout_outlives_kills_of_the_server_and_of_the_model_server(up: Up) -> None:
    """Killed in the middle of the canary, both come back, and the rollout goes on to its end."""
    steps = [RolloutStep(weight=0.5, bake_s=4.0, min_requests=20), RolloutStep(weight=0.8, bake_s=0.5)]
    with up.open() as workspace:
        _deploy_first(workspace, "killed")
        made = deploy(
            "flowers@2",
            endpoint="killed",
            strategy="canary",
            steps=steps,
            gates=Gates(latency=None),
            workspace=workspace,
        )
        with Traffic(up, "killed") as traffic:
            rollouts = workspace.service(Rollouts)
            wait_until(lambda: rollouts.get("default", made.id).step == 0, 60)
            up.kill("server")
            during = traffic.answers.total()
            wait_until(lambda: traffic.answers.total() > during + 20, 30)
            assert traffic.failures == []
            up.kill("serve")
            after = traffic.answers.total()
            wait_until(lambda: traffic.answers.total() > after + 20, 60)
            wait_until(lambda: _is_served(up), 60)
            wait_until(lambda: _status(workspace, made.id).is_finished(), 90)
        ended = rollouts.get("default", made.id)

    assert ended.status is RolloutStatus.PROMOTED
    assert [step.step for step in ended.history] == [-1, 0, 1]


def test_children_end_with_their_parent(
    processes: Processes, noria_command: tuple[str, ...], folder: Path
) -> None:
    """Even a parent that is killed leaves nobody behind."""
    up = _start(processes, noria_command, folder)
    children = [psutil.Process(up.pid(name)) for name in ("server", "worker", "serve")]

    up.process.kill()

    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_everything_ends_in_order_when_asked(
    processes: Processes, noria_command: tuple[str, ...], folder: Path
) -> None:
    """SIGTERM ends the children and the parent, and takes `up.json` away."""
    up = _start(processes, noria_command, folder)
    assert (up.folder / "up.json").stat().st_mode & 0o077 == 0

    assert up.process.stop() == 0

    assert not (up.folder / "up.json").exists()


def test_a_second_one_on_the_folder_is_refused(
    up: Up, processes: Processes, noria_command: tuple[str, ...]
) -> None:
    """It names the one that runs."""
    second = processes.start([*noria_command, "up", "--workspace", up.folder], name="second")

    assert second.wait() == 1
    assert up.server_url in second.output()


def test_a_token_may_replay_if_its_permissions_say_so(up: Up) -> None:
    """A model server asks the control server about credentials that it does not know."""
    with up.open() as workspace:
        _deploy_first(workspace, "replayed")
        secrets = [
            workspace.service(Tokens)
            .create(NewToken(name=f"token-{n}", role=Role.SCIENTIST, permissions=[permission]))
            .secret
            for n, permission in enumerate([REPLAY.name, READ_ENDPOINTS.name])
        ]
    body = {"inputs": [row_input([[1, 2, 3, 4]])], "parameters": {"replay": True}}
    codes = [
        httpx.post(
            f"{up.model_url}/v2/models/replayed/infer",
            json=body,
            headers={"authorization": f"Bearer {secret}"},
            trust_env=False,
            timeout=60,  # the first replay may load the library that the model was made with
        ).status_code
        for secret in [*secrets, "nonsense"]
    ]

    assert codes == [200, 403, 403]


def test_a_child_that_cannot_start_ends_all_with_its_words(
    processes: Processes, noria_command: tuple[str, ...], folder: Path
) -> None:
    """The log's last lines are shown, and nothing is left running."""
    (folder / "noria.db").write_bytes(b"not a database" * 100)

    child = processes.start([*noria_command, "up", "--workspace", folder], name="up")

    assert child.wait(60) == 1
    assert "`noria server` ended before it was ready" in child.output()
    assert "server.log" in child.output()
    assert not (folder / "up.json").exists()


def test_a_port_in_use_is_named(
    processes: Processes, noria_command: tuple[str, ...], folder: Path, free_port: int
) -> None:
    """Nothing is started, and the option that chooses another is named."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        child = processes.start(
            [*noria_command, "up", "--workspace", folder, "--serve-port", str(free_port)], name="up"
        )
        assert child.wait() == 1

    assert f"Another program listens on port {free_port}" in child.output()
    assert "--serve-port" in child.output()


def _is_served(up: Up) -> bool:
    try:
        url = f"{up.server_url}/health/ready"
        return httpx.get(url, verify=trust_for(url), trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
