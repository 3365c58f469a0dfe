"""What two workers give over one for a forest that scikit-learn computes.

python benchmarks/serving/bench_workers.py [--quick]

One row for each request, 32 connections. Forest: 100 trees, 30 features, not converted to ONNX. All is kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from load import Body, Running, Server, running

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.serving.client import deploy

NORIA = Path(sys.executable).parent / "noria"
CASE = "1 row"
N_FEATURES, N_CONNECTIONS = 30, 32


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="one turn of one second each")
    quick = parser.parse_args().quick
    seconds, turns = (1, 1) if quick else (8, 4)
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as made:
        folder = Path(made)
        settings = load_settings(workspace=str(folder / "workspace"), environ={})
        with open_workspace(settings) as workspace:
            train(workspace)
            compare_workers(folder, seconds, turns)


def train(workspace: Workspace) -> None:
    """Register and deploy the model."""
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, N_FEATURES))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    sys.modules["skl2onnx"] = None  # type: ignore[assignment]  # as where the extra is not installed
    register(RandomForestClassifier(100, random_state=0).fit(x, y), "forest", x=x, y=y, workspace=workspace)
    deploy("forest@1", workspace=workspace)


def compare_workers(folder: Path, seconds: int, turns: int) -> None:
    """Ask servers of one and of two workers."""
    found = {}
    for n in (1, 2):
        with running(_server(folder, "forest", n), folder / "log") as live:
            found[n] = _median(live, seconds, turns)
            print(f"native forest, {n} worker(s): {found[n]:8.0f} requests/s, {live.memory_mb():5.0f} MB")
    print(f"native forest, two workers over one: {found[2] / found[1]:.2f}")


def _median(live: Running, seconds: int, turns: int) -> float:
    live.measure(CASE, 1)
    return float(statistics.median(live.measure(CASE, seconds).per_s for _ in range(turns)))


def _server(folder: Path, name: str, n_workers: int) -> Server:
    row = np.random.default_rng(1).normal(size=N_FEATURES).round(6).tolist()
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, N_FEATURES], "data": row}
    file = folder / "body.json"
    file.write_text(json.dumps({"inputs": [tensor]}))
    headers = {"Content-Type": "application/json"}
    place = ["--workspace", str(folder / "workspace"), "--port", "{port}", "--workers", str(n_workers)]
    return Server(
        name="Noria",
        command=[str(NORIA), "serve", *place],
        url=f"http://127.0.0.1:{{port}}/v2/models/{name}/infer",
        bodies={CASE: Body(file=file, headers=headers, n_connections=N_CONNECTIONS)},
        answers=_classes,
    )


def _classes(_headers: dict[str, str], body: bytes) -> list[int]:
    answer: dict[str, Any] = json.loads(body)
    return [int(value) for value in answer["outputs"][0]["data"]]


if __name__ == "__main__":
    main()
