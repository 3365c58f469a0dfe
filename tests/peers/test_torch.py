"""Networks of PyTorch become graphs that are served without PyTorch."""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.registry.client import fetch_version
from noria.registry.entities import Task
from noria.registry.equality import TOLERANCE, equality_of
from noria.registry.golden import compare_golden, load_golden
from noria.registry.rules import servable
from noria.registry.runtimes.port import load_model
from noria.registry.service import Models
from peers.conftest import PROGRAMS, Peer

pytestmark = pytest.mark.peers

PEER = "torch"
DISTRIBUTION = "torch"
COVERS = (
    "registering networks of one and of several inputs, their equality in ONNX, serving them without PyTorch"
)
NOT_YET = "networks on other devices"


def test_networks_are_registered_and_predict_without_pytorch(peer: Peer, tmp_path: Path) -> None:
    """The golden batch comes back, classes and shares are the network's, and what no graph can hold is refused."""
    source = Path(__file__).parents[2] / "src"
    env = {
        "PYTHONPATH": os.pathsep.join([str(source), sysconfig.get_path("purelib")]),
        "NORIA_WORKSPACE": str(tmp_path / "workspace"),
        "HOME": str(tmp_path),
    }
    output = peer.run(["python", PROGRAMS / "torch_register.py"], cwd=tmp_path, env=env)
    told = json.loads(output.strip().splitlines()[-1])
    scores, x, values = np.array(told["digits"]), np.array(told["x"]), np.array(told["values"], np.float32)

    with open_workspace(load_settings(workspace=env["NORIA_WORKSPACE"], environ={})) as workspace:
        digits = servable(workspace.service(Models).resolve("default", "digits"))
        sums = servable(workspace.service(Models).resolve("default", "sums"))
        found = equality_of(workspace.objects(), digits.digest)
        folders = [fetch_version(workspace, each, cache=tmp_path) for each in (digits, sums)]
    loaded = [load_model(folder, each) for folder, each in zip(folders, (digits, sums), strict=True)]

    assert (digits.format, digits.task, digits.classes, digits.pickled) == (
        "onnx",
        Task.CLASSIFICATION,
        [0, 1, 2],
        False,
    )
    assert (sums.task, told["training"]) == (Task.REGRESSION, True)
    assert found is not None
    assert (found.equal, found.n_rows >= 10_000, "torch" in found.made_with) == (True, True, True)
    for folder, model in zip(folders, loaded, strict=True):
        batch = load_golden(folder)
        assert batch is not None
        replayed = compare_golden(batch, batch.features, model.predict(batch.inputs), tolerance=0.0)
        assert (model.engine, replayed.n_flips, replayed.largest_output_error) == ("onnxruntime", 0, 0.0)
    answer = loaded[0].predict({"x": x})
    np.testing.assert_array_equal(answer["predictions"], scores.argmax(axis=1))
    np.testing.assert_allclose(answer["probabilities"], scores, atol=TOLERANCE)
    given = loaded[1].predict({"values": values, "count": np.arange(200)})["predictions"]
    np.testing.assert_allclose(given, told["sums"], rtol=TOLERANCE)
    assert "No graph" in told["refused"][0]
    assert "PythonModel" in told["refused"][1]
