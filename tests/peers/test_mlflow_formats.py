"""Models go from Noria to MLflow and from MLflow to Noria, and predict the same on both sides."""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path

import pytest

from peers.conftest import PROGRAMS, Peer

pytestmark = pytest.mark.peers

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "folders that Noria writes, loaded by MLflow; boosters, estimators and functions that MLflow saved"
NOT_YET = "flavors other than scikit-learn, LightGBM, XGBoost, ONNX and functions in Python"


def test_models_predict_the_same_on_both_sides(peer: Peer, tmp_path: Path) -> None:
    """Of every format that both know; pickles and functions ask for a consent, and nothing else does."""
    source = Path(__file__).parents[2] / "src"
    env = {
        "PYTHONPATH": os.pathsep.join([str(source), sysconfig.get_path("purelib")]),
        "NORIA_WORKSPACE": str(tmp_path / "workspace"),
        "HOME": str(tmp_path),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"file://{tmp_path}/runs",
    }
    output = peer.run(
        ["python", "-W", "ignore", PROGRAMS / "mlflow_formats.py"], cwd=tmp_path, env=env, timeout_s=400
    )
    told = json.loads(output.strip().splitlines()[-1])

    assert told["exported"] == {"sklearn": True, "lightgbm": True, "xgboost": True, "onnx": True}
    assert told["imported"] == {
        "in-lightgbm": {"equal": True, "consent": False, "flavor": "lightgbm"},
        "in-xgboost": {"equal": True, "consent": False, "flavor": "xgboost"},
        "in-estimator": {"equal": True, "consent": True, "flavor": "lightgbm"},
        "in-function": {"equal": True, "consent": True, "flavor": "python_function"},
    }
