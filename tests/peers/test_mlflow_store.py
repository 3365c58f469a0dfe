"""MLflow's own server and Noria's, driven by MLflow's client through what its tests of stores and autologging check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from peers.conftest import PROGRAMS, Peer
from peers.test_mlflow_answers import mlflow_url, noria_url  # noqa: F401 - fixtures
from peers.test_mlflow_autolog import packages_of
from support.processes import RunningProcess

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = (
    "stores of experiments, runs, metrics, data sets, evaluations, issues, logged models, traces and assessments, and"
    " autologging of scikit-learn, XGBoost and LightGBM"
)
NOT_YET = "autologging of other frameworks"

pytestmark = pytest.mark.timeout(900)

CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


@pytest.mark.parametrize(
    "program",
    [
        "mlflow_store_answers.py",
        "mlflow_datasets_answers.py",
        "mlflow_issues_answers.py",
        "mlflow_reviews_answers.py",
        "mlflow_evaluation_answers.py",
        "mlflow_sklearn_answers.py",
        "mlflow_trace_search_answers.py",
        "mlflow_trace_span_answers.py",
        "mlflow_trace_judgement_answers.py",
    ],
)
def test_the_client_is_told_the_same(
    program: str,
    peer: Peer,
    mlflow_url: str,  # noqa: F811 - the fixture
    noria_url: str,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """By both servers, in each case."""
    assert_alike([start(peer, program, url, tmp_path) for url in (mlflow_url, noria_url)])


def test_boosting_is_logged_the_same(
    peer: Peer,
    mlflow_url: str,  # noqa: F811 - the fixture
    noria_url: str,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """What XGBoost and LightGBM fit; they are packages of Noria's environment, not of MLflow's."""
    command: list[str | Path] = [sys.executable, PROGRAMS / "mlflow_boosting_answers.py"]
    assert_alike(
        [
            peer.processes.start(
                [*command, url, packages_of(peer)], name="boosting", cwd=tmp_path, env=CLIENT
            )
            for url in (mlflow_url, noria_url)
        ]
    )


def assert_alike(running: list[RunningProcess]) -> None:
    """Hold against each other what a program was told by MLflow's server and by Noria's."""
    theirs, ours = (outcomes(each) for each in running)
    assert theirs.keys() == ours.keys()
    assert {label: ours[label] for label in ours if ours[label] != theirs[label]} == {}


def start(peer: Peer, program: str, url: str, folder: Path) -> RunningProcess:
    """Start a program of the peer's environment against a server."""
    env = CLIENT | {"PATH": f"{peer.bin}:/usr/bin:/bin"}
    return peer.processes.start(
        [peer.bin / "python", PROGRAMS / program, url], name=program, cwd=folder, env=env
    )


def outcomes(running: RunningProcess) -> dict[str, Any]:
    """Wait for a program, and give what it was told under each label."""
    assert running.wait(800) == 0, running.output()
    # The client's log goes to the same place: its last words may stand behind the answer, or on its line.
    answer = next(line for line in reversed(running.output().splitlines()) if line.startswith("{"))
    told: dict[str, Any] = json.JSONDecoder().raw_decode(answer)[0]
    return told
