"""What two workers give over one for a forest that scikit-learn computes.

python benchmarks/serving/bench_workers.py [--quick] [--connections 32]

One row for each request. Forest: 100 trees, 30 features, not converted to ONNX. All is kept.

A worker predicts all rows that wait for it in one call. Two workers share the connections, so each has half as many
rows in a call: what that can give at the most is told by what calls of so many rows take, without any server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from load import Body, Running, Server, running
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.serving.client import deploy

NORIA = Path(sys.executable).parent / "noria"
CASE = "1 row"
N_FEATURES = 30


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="one turn of one second each")
    parser.add_argument("--connections", type=int, default=32, help="that send requests (default: 32)")
    chosen = parser.parse_args()
    seconds, turns = (1, 1) if chosen.quick else (8, 4)
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as made:
        folder = Path(made)
        settings = load_settings(workspace=str(folder / "workspace"), environ={})
        with open_workspace(settings) as workspace:
            bound_workers(train(workspace), chosen.connections)
            compare_workers(folder, seconds, turns, chosen.connections)


def train(workspace: Workspace) -> RandomForestClassifier:
    """Register and deploy the model."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, N_FEATURES))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    sys.modules["skl2onnx"] = None  # type: ignore[assignment]  # as where the extra is not installed
    forest = RandomForestClassifier(100, random_state=0).fit(x, y)
    register(forest, "forest", x=x, y=y, workspace=workspace)
    deploy("forest@1", workspace=workspace)
    return forest


def bound_workers(forest: RandomForestClassifier, n_connections: int) -> None:
    """Print what calls take in this process: of all rows that wait, and of half of them."""
    rows = np.random.default_rng(1).normal(size=(n_connections, N_FEATURES))
    whole_ms, half_ms = (_call_ms(forest, rows[:n]) for n in (n_connections, n_connections // 2))
    print(
        f"one call: {n_connections} rows {whole_ms:.1f} ms, {n_connections // 2} rows {half_ms:.1f} ms of CPU;"
        f" two workers can give {whole_ms / half_ms:.2f} times the requests at the most"
    )


def _call_ms(forest: RandomForestClassifier, rows: NDArray[np.float64]) -> float:
    taken = []
    for _ in range(50):
        began = time.process_time()
        forest.predict_proba(rows)
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken)


def compare_workers(folder: Path, seconds: int, turns: int, n_connections: int) -> None:
    """Ask servers of one and of two workers."""
    found = {}
    for n in (1, 2):
        with running(_server(folder, "forest", n, n_connections), folder / "log") as live:
            found[n], cpu_ms = _median(live, seconds, turns)
            print(
                f"native forest, {n} worker(s): {found[n]:8.0f} requests/s, CPU {cpu_ms:.2f} ms for each,"
                f" {live.memory_mb():5.0f} MB"
            )
    print(f"native forest, two workers over one: {found[2] / found[1]:.2f}")


def _median(live: Running, seconds: int, turns: int) -> tuple[float, float]:
    live.measure(CASE, 1)
    taken = [live.measure(CASE, seconds) for _ in range(turns)]
    return statistics.median(each.per_s for each in taken), statistics.median(each.cpu_ms for each in taken)


def _server(folder: Path, name: str, n_workers: int, n_connections: int) -> Server:
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
        bodies={CASE: Body(file=file, headers=headers, n_connections=n_connections)},
        answers=_classes,
    )


def _classes(_headers: dict[str, str], body: bytes) -> list[int]:
    answer: dict[str, Any] = json.loads(body)
    return [int(value) for value in answer["outputs"][0]["data"]]


if __name__ == "__main__":
    main()
