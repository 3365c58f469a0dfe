"""What two workers give over one for a forest that scikit-learn computes.

python benchmarks/serving/bench_workers.py [--quick] [--connections 32]

1 and 100 rows for each request. Forest: 100 trees, 30 features, not converted to ONNX. All is kept.

Where one worker, the process above it and the program that asks fill the processors already, another worker has
nothing to run on: beside each ratio stands what the CPU of one request lets this machine give at the most, were asking
free. What the model itself takes is told beside what scikit-learn's own methods take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from load import Body, Running, Server, Taken, running
from sklearn.ensemble import RandomForestClassifier

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.registry.entities import Signature, TensorSpec
from noria.registry.runtimes.sklearn import SklearnModel
from noria.serving.client import deploy

NORIA = Path(sys.executable).parent / "noria"
CASES = {"1 row": 1, "100 rows": 100}
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
            time_calls(train(workspace))
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


def time_calls(forest: RandomForestClassifier) -> None:
    """Print what a call takes in this process, of scikit-learn's methods and of the model as it is served."""
    signature = Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, N_FEATURES])], outputs=[])
    served = SklearnModel(forest, signature)
    for case, n_rows in CASES.items():
        rows = np.random.default_rng(1).normal(size=(n_rows, N_FEATURES))
        own_ms = _call_ms(forest.predict, rows) + _call_ms(forest.predict_proba, rows)
        served_ms = _call_ms(served.predict, {"x": rows})
        print(f"a call of {case}: scikit-learn {own_ms:.2f} ms, as served {served_ms:.2f} ms of CPU")


def _call_ms(call: Callable[[Any], object], given: Any) -> float:
    taken = []
    for _ in range(50):
        began = time.process_time()
        call(given)
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken)


def compare_workers(folder: Path, seconds: int, turns: int, n_connections: int) -> None:
    """Ask servers of one and of two workers."""
    found: dict[tuple[str, int], Taken] = {}
    for n in (1, 2):
        with running(_server(folder, "forest", n, n_connections), folder / "log") as live:
            for case in CASES:
                taken = found[case, n] = _median(live, case, seconds, turns)
                print(
                    f"native forest, {case}, {n} worker(s): {taken.per_s:8.0f} requests/s,"
                    f" CPU {taken.cpu_ms:.2f} ms for each, {live.memory_mb():5.0f} MB"
                )
    for case in CASES:
        one, two = found[case, 1], found[case, 2]
        bound = (os.cpu_count() or 1) * 1000 / min(one.cpu_ms, two.cpu_ms) / one.per_s
        print(
            f"native forest, {case}: two workers over one {two.per_s / one.per_s:.2f}, at the most {bound:.2f}"
        )


def _median(live: Running, case: str, seconds: int, turns: int) -> Taken:
    live.measure(case, 1)
    taken = [live.measure(case, seconds) for _ in range(turns)]
    return sorted(taken, key=lambda each: each.per_s)[len(taken) // 2]


def _server(folder: Path, name: str, n_workers: int, n_connections: int) -> Server:
    headers = {"Content-Type": "application/json"}
    place = ["--workspace", str(folder / "workspace"), "--port", "{port}", "--workers", str(n_workers)]
    return Server(
        name="Noria",
        command=[str(NORIA), "serve", *place],
        url=f"http://127.0.0.1:{{port}}/v2/models/{name}/infer",
        bodies={
            case: Body(file=_body(folder, n_rows), headers=headers, n_connections=n_connections)
            for case, n_rows in CASES.items()
        },
        answers=_classes,
    )


def _body(folder: Path, n_rows: int) -> Path:
    data = np.random.default_rng(1).normal(size=n_rows * N_FEATURES).round(6).tolist()
    tensor = {"name": "x", "datatype": "FP64", "shape": [n_rows, N_FEATURES], "data": data}
    file = folder / f"body-{n_rows}.json"
    file.write_text(json.dumps({"inputs": [tensor]}))
    return file


def _classes(_headers: dict[str, str], body: bytes) -> list[int]:
    answer: dict[str, Any] = json.loads(body)
    return [int(value) for value in answer["outputs"][0]["data"]]


if __name__ == "__main__":
    main()
