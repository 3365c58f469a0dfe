"""A killed model server loses nothing that it acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from noria.access.audit import Audit
from noria.core.events.log import Event
from noria.core.trust import trust_for
from noria.core.workspace import Workspace
from noria.serving.client import deploy, endpoint
from noria.serving.events import CAPTURES_DROPPED, CAPTURES_KEPT
from noria.serving.service import Captures, Endpoints
from support.model_server import is_ready, open_folder, row_input
from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

ANY = "0.0.0.0"  # noqa: S104 - refused, or asked for a token

Start = Callable[..., RunningProcess]


class Caller:
    """Asks for predictions and gives labels until told to stop, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.answered: list[str] = []
        self.labelled: list[str] = []
        self.refused: list[int] = []
        self._url = url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        generator = np.random.default_rng(5)
        with httpx.Client(
            base_url=self._url, verify=trust_for(self._url), trust_env=False, timeout=10
        ) as http:
            while not self._stopping.is_set():
                try:
                    self._ask(http, generator.integers(0, 5, (1, 4)).astype(float).tolist())
                except httpx.TransportError:
                    self._stopping.wait(0.02)
                # There is always a request under way, and what is captured is read again and again below.
                self._stopping.wait(0.003)

    def _ask(self, http: httpx.Client, rows: list[list[float]]) -> None:
        answer = http.post("/v2/models/flowers/infer", json={"inputs": [row_input(rows)]})
        if answer.status_code != 200:
            self.refused.append(answer.status_code)
            return
        identity = answer.json()["id"]
        self.answered.append(identity)
        if len(self.answered) % 5 == 0:
            label = {"prediction_id": identity, "value": 1}
            given = http.post("/feedback", json={"labels": [label], "endpoint": "flowers"})
            if given.status_code in (200, 202):
                self.labelled.append(identity)


def _captured(workspace: Workspace, *, labelled: bool | None = None) -> set[str]:
    found: set[str] = set()
    after = 0
    while True:
        page = workspace.service(Captures).read(
            "default", "flowers", after=after, limit=1000, labelled=labelled
        )
        found |= {row.prediction.id for row in page.items}
        after = page.next
        if not page.more:
            return found


ROUNDS = [
    pytest.param(["worker", "parent", "worker"], id="smoke"),
    pytest.param(["worker", "worker", "parent", "worker"] * 5, id="many", marks=pytest.mark.soak),
]


@pytest.mark.parametrize("victims", ROUNDS)
def test_kill_9_under_load_loses_no_prediction_and_no_label(
    workspace: Workspace, start_server: Start, victims: list[str]
) -> None:
    """Workers and parent are killed while requests come: every answer is captured once, every label is kept."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    deploy("flowers@1", workspace=workspace)
    child = start_server(port, "--workers", "2")
    with Caller(url) as caller:
        for victim in victims:
            wait_until(_more(caller), 60)
            if victim == "worker":
                _kill_a_worker(url)
            else:
                child.kill()
                child = start_server(port, "--workers", "2")
        wait_until(lambda: is_ready(port) and len(caller.labelled) > 10, 60)
        wait_until(_more(caller), 60)
    answered, labelled = set(caller.answered), set(caller.labelled)

    wait_until(lambda: answered <= _captured(workspace), 60, "not every answer was captured")
    wait_until(lambda: labelled <= _captured(workspace, labelled=True), 60, "not every label was kept")
    assert len(answered) == len(caller.answered) > 80
    assert set(caller.refused) <= {503}  # while it starts
    stats = workspace.service(Captures).stats("default", "flowers").of(1)
    assert stats.n_rows == len(_captured(workspace))


def _more(caller: Caller) -> Callable[[], bool]:
    before = len(caller.answered)
    return lambda: len(caller.answered) > before + 30


def _kill_a_worker(url: str) -> None:
    """Kill one of two workers, and wait until there are two again, another one among them."""

    def both() -> set[int]:
        status = httpx.get(f"{url}/status", verify=trust_for(url), trust_env=False, timeout=20)
        workers = status.json()["workers"]
        ready = {worker["pid"] for worker in workers if worker["ready"]}
        return ready if len(ready) == 2 else set()

    before = wait_until(both, 60)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: both() - before, 60)


def test_without_the_control_server_answers_and_labels_wait_on_disk(
    folder: Path, processes: Processes, noria_command: tuple[str, ...], start_server: Start
) -> None:
    """It answers and keeps labels (202), starts again from its own disk, and hands all on when it can."""
    with open_folder(folder) as workspace:
        deploy("flowers@1", workspace=workspace)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    request = {"inputs": [row_input([[1, 2, 3, 4]])]}
    server = _control_server(processes, noria_command, folder)
    child = start_server(port, "--managed")
    server.kill()

    first = httpx.post(f"{url}/v2/models/flowers/infer", json=request, trust_env=False).json()["id"]
    labels: dict[str, Any] = {"labels": [{"prediction_id": first, "value": 1}]}
    queued = httpx.post(f"{url}/feedback", json=labels, trust_env=False, timeout=20)
    child.kill()
    start_server(port, "--managed")
    second = httpx.post(f"{url}/v2/models/flowers/infer", json=request, trust_env=False).json()["id"]
    _control_server(processes, noria_command, folder)

    assert (queued.status_code, queued.json()["queued"]) == (202, 1)
    with open_folder(folder) as workspace:
        wait_until(lambda: {first, second} <= _captured(workspace), 60)
        wait_until(lambda: first in _captured(workspace, labelled=True), 60)


def test_a_client_rides_over_a_restart(workspace: Workspace, start_server: Start) -> None:
    """A request that was broken off is sent again under its id, so it is captured once."""
    port = free_port()
    deploy("flowers@1", workspace=workspace)
    child = start_server(port)
    with endpoint("flowers", url=f"http://127.0.0.1:{port}", workspace=workspace) as client:
        first = client.predict(np.ones((1, 4)))
        child.kill()
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(client.predict(np.ones((2, 4)))), daemon=True)
        asking.start()
        start_server(port)
        asking.join(30)

    ids = {*first.prediction_ids, *answers[0].prediction_ids}
    wait_until(lambda: ids <= _captured(workspace), 30)
    assert len(_captured(workspace)) == 3


def test_a_damaged_model_on_the_disk_is_fetched_again(
    folder: Path, workspace: Workspace, start_server: Start
) -> None:
    """What was verified is what is loaded."""
    port = free_port()
    deploy("flowers@1", workspace=workspace)
    start_server(port).stop()
    (damaged,) = (folder / "serving" / "0" / "models").glob("*/tree/model.skops")
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    child = start_server(port)

    with endpoint("flowers", url=f"http://127.0.0.1:{port}", workspace=workspace) as client:
        assert client.predict(np.ones((1, 4))).version == 1
    assert damaged.read_bytes() == good
    assert "are not what was registered" in child.output()


@pytest.fixture
def full_disk(folder: Path) -> Iterator[list[str]]:
    """Give the options of a model server whose disk has 2 MB; where none can be mounted, its spool has 1 MB."""
    place = folder / "serving"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield [] if mounted else ["--spool-mb", "1"]
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_drops_captures_and_goes_on_serving(
    folder: Path,
    full_disk: list[str],
    processes: Processes,
    noria_command: tuple[str, ...],
    start_server: Start,
) -> None:
    """Answers still come; what is dropped is counted, shown, and told to the control server when it is back."""
    with open_folder(folder) as workspace:
        deploy("flowers@1", workspace=workspace)
    server = _control_server(processes, noria_command, folder)
    port = free_port()
    start_server(port, "--managed", *full_disk)
    server.kill()
    rows = np.ones((1000, 4)).tolist()

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:
        codes = Counter(
            http.post("/v2/models/flowers/infer", json={"inputs": [row_input(rows)]}).status_code
            for _ in range(60)
        )
        status = http.get("/status").json()["requests"]
        shown = http.get("/metrics").text
        server = _control_server(processes, noria_command, folder)
        with open_folder(folder) as workspace:
            (dropped,) = wait_until(lambda: _events(workspace, CAPTURES_DROPPED), 90)
            wait_until(lambda: not http.get("/status").json()["requests"]["waiting_bytes"], 90)
            http.post("/v2/models/flowers/infer", json={"inputs": [row_input([[1, 2, 3, 4]])]})
            wait_until(lambda: _events(workspace, CAPTURES_KEPT), 90)
            n_kept = 61 - status["n_dropped"]
            captures = workspace.service(Captures)
            wait_until(lambda: captures.stats("default", "flowers").of(1).n_requests == n_kept, 60)

    assert codes == {200: 60}
    assert status["disk_full"]
    assert 0 < status["disk_bytes"] <= 2 << 20
    assert f"noria_serving_captures_dropped_total {float(status['n_dropped'])}" in shown
    assert dropped.payload["n_dropped"] >= status["n_dropped"] > 0


def _events(workspace: Workspace, type_: str) -> list[Event]:
    return workspace.service(Audit).events(type=type_).items


def test_other_machines_are_asked_for_a_token(
    folder: Path, tmp_path: Path, processes: Processes, noria_command: tuple[str, ...], start_server: Start
) -> None:
    """Any other address than loopback needs a token, and then everybody needs it."""
    refused = processes.start([*noria_command, "serve", "--workspace", folder, "--host", ANY], name="open")
    assert refused.wait() == 2
    assert "--token-file" in refused.output()

    secret = tmp_path / "token"
    secret.write_text("a-secret-of-some-length-0123456789")
    secret.chmod(0o600)
    with open_folder(folder) as workspace:
        deploy("flowers@1", workspace=workspace)
    port = free_port()
    start_server(port, "--host", ANY, "--token-file", str(secret))
    url = f"http://127.0.0.1:{port}/v2/models/flowers/infer"
    body = {"inputs": [row_input([[1, 2, 3, 4]])]}
    with httpx.Client(trust_env=False) as http:
        without = http.post(url, json=body)
        given = http.post(url, json=body, headers={"authorization": f"Bearer {secret.read_text()}"})

    assert (without.status_code, given.status_code) == (401, 200)


def test_serve_makes_the_endpoint_that_it_lacks(
    folder: Path, processes: Processes, noria_command: tuple[str, ...], start_server: Start
) -> None:
    """A model is served under its own name at once; a version that the endpoint does not serve is refused."""
    port = free_port()
    start_server(port, "flowers@2")
    with open_folder(folder) as workspace, endpoint("flowers", workspace=workspace) as client:
        assert client.predict(np.ones((1, 4))).version == 2

    other = processes.start([*noria_command, "serve", "flowers@1", "--workspace", folder], name="other")

    assert other.wait() == 1
    assert "noria deploy flowers@1 --to flowers" in other.output()


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(
    folder: Path, workspace: Workspace, start_server: Start
) -> None:
    """The plan names a version whose files are gone: the report says so, and requests are answered as before."""
    port = free_port()
    deploy("flowers@1", workspace=workspace)
    start_server(port)
    shutil.rmtree(folder / "objects")

    deploy("flowers@2", workspace=workspace)

    def failure() -> str:
        servers = workspace.service(Endpoints).servers().items
        return "".join(plan.failed.get("2", "") for server in servers for plan in server.endpoints)

    assert "no object" in wait_until(failure, 30)
    with endpoint("flowers", url=f"http://127.0.0.1:{port}", workspace=workspace) as client:
        assert client.predict(np.ones((1, 4))).version == 1


def _control_server(processes: Processes, noria_command: tuple[str, ...], folder: Path) -> RunningProcess:
    child = processes.start(
        [*noria_command, "server", "--workspace", folder, "--port", str(free_port())], name="server"
    )
    child.wait_for_output("Noria answers at")
    return child
