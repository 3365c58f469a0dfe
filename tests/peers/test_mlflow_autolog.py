"""MLflow's autologging, pointed at a workspace by `noria.autolog()`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.entities import RunStatus
from noria.tracking.service import Runs
from peers.conftest import PROGRAMS, Peer
from support.processes import Processes

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "`noria.autolog()`: models that scikit-learn fits become runs inside the active run"
NOT_YET = "frameworks other than scikit-learn"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def workspace(folder: Path, processes: Processes, noria: str) -> Iterator[Workspace]:
    server = processes.start([noria, "server", "--workspace", folder, "--port", "0"], name="server")
    server.wait_for_output("Noria answers at")
    with open_workspace(load_settings(workspace=str(folder), environ={})) as opened:
        yield opened


def packages_of(peer: Peer) -> Path:
    (found,) = (peer.bin.parent / "lib").glob("python*/site-packages")
    return found


def test_what_is_fitted_becomes_a_run_inside_the_active_one(
    peer: Peer, folder: Path, workspace: Workspace, processes: Processes
) -> None:
    """Params and metrics of the fits are there; outside the block MLflow is what it was."""
    child = processes.start(
        [sys.executable, PROGRAMS / "mlflow_autolog.py", packages_of(peer)],
        name="autolog",
        env={"NORIA_WORKSPACE": str(folder)},
    )
    assert child.wait(240) == 0, child.output()
    told = json.loads(child.output().splitlines()[-1])
    runs = workspace.service(Runs)
    made = {run.id: run for run in runs.list("default", experiment="forests").items}
    outer = made.pop(told["outer"])
    forest, by_hand, regression = sorted(made.values(), key=lambda run: run.started_at)

    assert told["after"] == ["http://127.0.0.1:1", "before"]
    assert told["experiment"] is None
    assert [run.parent for run in (outer, forest, by_hand, regression)] == [None, outer.id, outer.id, None]
    assert forest.params["n_estimators"] == "5"
    assert forest.metrics["training_score"] > 0.9
    assert by_hand.metrics == {"by_hand": 1.0}
    assert regression.params["C"] == "0.5"
    assert {run.status for run in (outer, forest, by_hand, regression)} == {RunStatus.FINISHED}


def test_without_a_server_the_mend_is_told(peer: Peer, tmp_path: Path, processes: Processes) -> None:
    """Nothing is started behind anybody's back."""
    script = tmp_path / "a.py"
    script.write_text(
        "import sys; sys.path.append(sys.argv[1]); import noria\n"
        "try:\n    noria.autolog()\nexcept noria.Unavailable as error:\n    print(error.hint)\n"
    )
    child = processes.start(
        [sys.executable, script, packages_of(peer)], env={"NORIA_WORKSPACE": str(tmp_path / "ws")}
    )
    assert child.wait(120) == 0, child.output()

    assert f"noria server --workspace {tmp_path / 'ws'}" in child.output()
