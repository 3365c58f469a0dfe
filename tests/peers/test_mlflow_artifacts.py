"""Artifacts and logged models with the real MLflow client on a real `noria server`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from peers.conftest import PROGRAMS, Peer
from peers.test_mlflow_day import NoriaServer, seaweed, server  # noqa: F401 - fixtures

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "files, folders, figures, images, tables, logged models with metrics, params, tags and files, against Noria"
NOT_YET = "uploads of gigabytes in parts (see tests/integration/interop)"

pytestmark = pytest.mark.timeout(300)


def test_artifacts_and_models_of_the_mlflow_client(
    peer: Peer,
    server: NoriaServer,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """What the client puts comes back as it was, and a model that a run made is an output of the run here."""
    output = peer.run(["python", PROGRAMS / "mlflow_artifacts.py", server.uri], cwd=tmp_path, timeout_s=240)
    made = json.loads(output.strip().splitlines()[-1])

    run = json.loads(server.ask("runs", "show", made["run"], "--json"))
    assert run["experiment"] == made["experiment"]
    assert [link["ref"] for link in run["outputs"]] == [f"logged-model:{made['model']}"]
