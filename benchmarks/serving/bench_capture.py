"""What it costs to keep every answered request: throughput, and CPU of the worker and of the process that hands on.

python benchmarks/serving/bench_capture.py [--quick]

A logistic regression of 30 features in ONNX Runtime, one worker, 32 connections, one row for each request in JSON. On
one server, in turns: everything kept, nothing kept. What was kept is handed on to the store meanwhile, at a lower
priority; a turn's CPU is counted until all of it is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from load import Body, Running, Server, running

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.serving.client import deploy
from noria.serving.keys import CaptureShare
from noria.serving.service import Captures, EndpointKeys, Endpoints

NORIA = Path(sys.executable).parent / "noria"
CASE = "1 row"
MODEL = "lr"
N_FEATURES, N_CONNECTIONS, N_BODIES = 30, 32, 64
_FOLLOWED_S = 3.0
SHARES = {"everything kept": 1.0, "nothing kept": 0.0}


class Turn(NamedTuple):
    """What one turn took: answers per second, and CPU microseconds for each answer."""

    per_s: float
    worker_us: float
    parent_us: float


def main() -> None:
    """Print a line for each setting, and what they make of each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="one turn of one second each")
    parser.add_argument("--seconds", type=int, default=8, help="of each turn (default: 8)")
    parser.add_argument("--turns", type=int, default=5, help="with each share (default: 5)")
    chosen = parser.parse_args()
    seconds, turns = (1, 1) if chosen.quick else (chosen.seconds, chosen.turns)
    with tempfile.TemporaryDirectory(prefix="bench-capture-") as made:
        folder = Path(made)
        settings = load_settings(workspace=str(folder / "workspace"), environ={})
        with open_workspace(settings) as workspace:
            train(workspace)
            found = measure(folder, workspace, seconds, turns)
    for name, taken in found.items():
        print(
            f"{name:16} {_middle(taken, 'per_s'):8.0f} requests/s, CPU for each: worker"
            f" {_middle(taken, 'worker_us'):6.1f} us, parent {_middle(taken, 'parent_us'):6.1f} us"
        )
    pairs = zip(*found.values(), strict=True)
    less = statistics.median(1 - kept.per_s / left.per_s for kept, left in pairs)
    print(f"keeping everything costs {less:.1%} of the throughput (median of {turns} pairs of turns)")


def train(workspace: Workspace) -> None:
    """Register and deploy the model."""
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, N_FEATURES))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    register(LogisticRegression().fit(x, y), MODEL, x=x, y=y, workspace=workspace)
    deploy(f"{MODEL}@1", workspace=workspace)


def measure(folder: Path, workspace: Workspace, seconds: int, turns: int) -> dict[str, list[Turn]]:
    """Ask one server in turns, with everything kept and with nothing."""
    found: dict[str, list[Turn]] = {name: [] for name in SHARES}
    with running(_server(folder), folder / "log") as live:
        live.measure(CASE, 1)
        for name, share in [pair for _ in range(turns) for pair in SHARES.items()]:
            _share(workspace, share)
            found[name].append(_turn(live, workspace, seconds))
    return found


def _turn(live: Running, workspace: Workspace, seconds: int) -> Turn:
    before = live.cpu_s()
    taken = live.measure(CASE, seconds)
    _wait_until_all_is_there(workspace)
    used_us = {name: 1e6 * (used_s - before[name]) / taken.n for name, used_s in live.cpu_s().items()}
    return Turn(taken.per_s, used_us["workers"], used_us["parent"])


def _share(workspace: Workspace, share: float) -> None:
    """Change the share, and wait until the worker has asked for it."""
    workspace.service(EndpointKeys).set_capture_share("default", MODEL, CaptureShare(share=share))
    time.sleep(_FOLLOWED_S)


def _wait_until_all_is_there(workspace: Workspace) -> None:
    """Wait until nothing waits, and nothing more comes."""
    before = -1
    for _ in _seconds(120):
        standing = [server.standing for server in workspace.service(Endpoints).servers().items]
        n_rows = workspace.service(Captures).stats("default", MODEL).of(1).n_rows
        if n_rows == before and all(each is not None and not each.waiting_bytes for each in standing):
            return
        before = n_rows


def _seconds(most: int) -> Iterator[None]:
    for _ in range(most):
        time.sleep(1)
        yield
    raise SystemExit("The server does not come to rest")


def _middle(taken: list[Turn], figure: str) -> float:
    return float(statistics.median(getattr(each, figure) for each in taken))


def _server(folder: Path) -> Server:
    row = np.random.default_rng(1).normal(size=N_FEATURES).round(6).tolist()
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, N_FEATURES], "data": row}
    file = folder / "body.json"
    file.write_text(json.dumps({"inputs": [tensor]}))
    headers = {"Content-Type": "application/json"}
    place = ["--workspace", str(folder / "workspace"), "--port", "{port}"]
    return Server(
        name="Noria",
        command=[str(NORIA), "serve", *place],
        url=f"http://127.0.0.1:{{port}}/v2/models/{MODEL}/infer",
        bodies={CASE: Body(file=file, headers=headers, n_connections=N_CONNECTIONS)},
        answers=_classes,
    )


def _classes(_headers: dict[str, str], body: bytes) -> list[int]:
    answer: dict[str, Any] = json.loads(body)
    return [int(value) for value in answer["outputs"][0]["data"]]


if __name__ == "__main__":
    main()
