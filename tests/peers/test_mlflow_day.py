"""A data scientist's day with the real MLflow client on a real `noria server`: on each database, and on S3."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.conftest import PROGRAMS, Peer
from support.buckets import S3Server, S3Unavailable, running_seaweed
from support.ports import free_port
from support.processes import Processes

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "experiments, autologging, models, registry, search, history, data sets and artifacts against Noria"
NOT_YET = "trace and webhook clients (see tests/integration/interop)"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def seaweed() -> Iterator[S3Server]:
    """Start a server that speaks S3, or skip with the reason."""
    try:
        with running_seaweed() as started:
            yield started
    except S3Unavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            raise
        pytest.skip(f"SeaweedFS: {reason}")


class NoriaServer:
    """A `noria server` of a workspace, as a user starts it."""

    def __init__(
        self, processes: Processes, command: tuple[str, ...], folder: Path, env: dict[str, str]
    ) -> None:
        self._command = command
        self._processes = processes
        self.env = {"NORIA_WORKSPACE": str(folder), **env}
        self.uri = f"http://127.0.0.1:{free_port()}"
        port = self.uri.rpartition(":")[2]
        self.process = processes.start(
            [*command, "server", "--port", port, "--workspace", folder], name="noria", env=self.env
        )
        self.process.wait_for_output("answers at")

    def ask(self, *arguments: str) -> str:
        """Run a `noria` command on the workspace and give what it prints."""
        asked = self._processes.start([*self._command, *arguments], name="ask", env=self.env)
        assert asked.wait(60) == 0, asked.output()
        return asked.output()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres), "s3"])
def server(
    request: pytest.FixtureRequest, processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> NoriaServer:
    """Serve a fresh workspace on SQLite, on PostgreSQL, and with its objects on an S3 server."""
    env: dict[str, str] = {}
    if request.param == "postgres":
        env["NORIA_DATABASE"] = request.getfixturevalue("postgres_url")
    if request.param == "s3":
        bucket: S3Server = request.getfixturevalue("seaweed")
        env |= {**bucket.environment, "NORIA_OBJECTS": f"s3://{bucket.bucket}/{tmp_path.name}"}
    return NoriaServer(processes, noria_command, tmp_path / "workspace", env)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("sqlite", marks=pytest.mark.smoke),
        pytest.param("postgres", marks=pytest.mark.postgres),
        "s3",
    ],
    indirect=True,
)
def test_a_day_with_the_mlflow_client(peer: Peer, server: NoriaServer, tmp_path: Path) -> None:
    """Everything the client logs, registers, searches and reads back is as on MLflow's own server, and is Noria's."""
    output = peer.run(["python", PROGRAMS / "mlflow_day.py", server.uri], cwd=tmp_path, timeout_s=360)
    made = json.loads(output.strip().splitlines()[-1])

    run = json.loads(server.ask("runs", "show", made["forest"], "--json"))
    assert run["experiment"] == "wine"
    assert run["status"] == "finished"
    assert run["params"]["n_estimators"] == "20"
    models = json.loads(server.ask("models", "list", "--json"))
    assert [each["name"] for each in models["items"]] == ["wine-class"]
    assert models["items"][0]["aliases"] == {"champion": 1}
