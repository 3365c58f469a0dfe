"""Networks of PyTorch become graphs that are served without PyTorch."""

from __future__ import annotations

import json
import os
import re
import signal
import sysconfig
from pathlib import Path

import httpx
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
from peers.conftest import PROGRAMS, ROOT, Peer
from support.processes import Processes

pytestmark = pytest.mark.peers

PEER = "torch"
DISTRIBUTION = "torch"
COVERS = (
    "registering networks of one and of several inputs, their equality in ONNX, serving them without PyTorch, "
    "the page of digits with full MNIST"
)
NOT_YET = "networks on other devices"

MNIST = Path(os.environ.get("MNIST") or ROOT.parent / "shared" / "data" / "mnist")
PATIENCE_S = 2_400


def in_peer() -> dict[str, str]:
    """Give the environment in which the peer's Python finds Noria and what it needs."""
    return {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), sysconfig.get_path("purelib")])}


def test_networks_are_registered_and_predict_without_pytorch(peer: Peer, tmp_path: Path) -> None:
    """The golden batch comes back, classes and shares are the network's, and what no graph can hold is refused."""
    env = {
        **in_peer(),
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


@pytest.mark.timeout(2 * PATIENCE_S)
def test_the_page_of_digits_learns_all_of_mnist_and_a_network_is_the_best(
    peer: Peer, processes: Processes, tmp_path: Path
) -> None:
    """The command as a person runs it: the convolutional network wins, and answers a drawing through ONNX Runtime."""
    if not (MNIST / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"MNIST is not in `{MNIST}`: MNIST=DIR names a folder with its four files")
    folder = tmp_path / "digits"
    command: list[str | Path] = [peer.bin / "python", "-m", "noria.cli", "demo", "--page", "--port", "0"]
    command += ["--folder", str(folder), "--data", str(MNIST)]
    env = {**in_peer(), "HOME": str(tmp_path)}
    demo = processes.start(command, name="digits", cwd=tmp_path, env=env)
    address = re.findall(r"http://\S+", demo.wait_for_output("The page: ", PATIENCE_S))[0]
    said = re.search(r"convolutional network: accuracy ([\d.]+) on (\d+)", demo.output())
    seven = {"strokes": [[[0.25, 0.15], [0.72, 0.15], [0.45, 0.88]]]}
    seen = httpx.post(f"{address}/predict", json=seven, timeout=60, trust_env=False).json()
    demo.process.send_signal(signal.SIGINT)

    assert demo.wait(120) == 0, demo.output()
    assert said is not None, demo.output()
    assert float(said[1]) > 0.97
    assert int(said[2]) == 10_000
    assert (seen["digit"], seen["side"], seen["version"]) == (7, 28, 1)
    with open_workspace(load_settings(workspace=str(folder / ".noria"), environ={})) as workspace:
        digits = servable(workspace.service(Models).resolve("default", "digits@champion"))
        found = equality_of(workspace.objects(), digits.digest)
    assert digits.format == "onnx"
    assert found is not None
    assert found.equal
