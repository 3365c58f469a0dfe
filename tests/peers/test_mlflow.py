"""MLflow: its client and its SQL tracking store."""

from __future__ import annotations

from pathlib import Path

from noria._version import __version__
from peers.conftest import PROGRAMS, Peer

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "an MLflow run started the `noria` command and kept its answer as a param"
NOT_YET = "MLflow clients that log to Noria, MLflow runs and models imported into Noria"


def test_an_mlflow_run_starts_noria(peer: Peer, noria: str, tmp_path: Path) -> None:
    """A run that MLflow tracks in its own store keeps the answer of the installed Noria."""
    output = peer.run(
        ["python", PROGRAMS / "mlflow_run.py", noria, "--version"],
        cwd=tmp_path,
        env={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"},
    )

    assert f"answer: noria {__version__}" in output.splitlines()
