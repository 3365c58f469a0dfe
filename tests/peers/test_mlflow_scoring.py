"""The client of MLflow's scoring server against Noria's model server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from noria._version import __version__
from noria.registry.client import register
from noria.serving.client import deploy
from peers.conftest import PROGRAMS, Peer
from support.model_server import is_ready, open_folder
from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "ping, version and predictions through the scoring server's client"
NOT_YET = "parameters of a model's signature"

pytestmark = pytest.mark.timeout(600)


def test_mlflows_client_is_answered_at_the_root(
    peer: Peer, noria: str, processes: Processes, tmp_path: Path
) -> None:
    """A program that asked `mlflow models serve` asks `noria serve` and gets the same."""
    generator = np.random.default_rng(2)
    x = generator.integers(0, 5, (200, 4)).astype(float)
    fitted = LogisticRegression().fit(x, (x.sum(axis=1) > 8).astype(int))
    folder, port = tmp_path / "workspace", free_port()
    with open_folder(folder) as workspace:
        register(fitted, "flowers", x=x, y=fitted.predict(x), workspace=workspace)
        deploy("flowers@1", workspace=workspace)
    child = processes.start([noria, "serve", "--workspace", str(folder), "--port", str(port)], name="serve")
    wait_until(lambda: not child.running or is_ready(port), 120, child.output)

    told = peer.run(
        ["python", PROGRAMS / "mlflow_scoring.py", str(port), json.dumps(x[:5].tolist())], cwd=tmp_path
    )

    found = json.loads(told.partition("ANSWER ")[2].splitlines()[0])
    assert found == {"version": __version__, "predictions": fitted.predict(x[:5]).tolist()}
