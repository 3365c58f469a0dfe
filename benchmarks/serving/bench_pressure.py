"""What predicting together gives, and what becomes of those who ask more than a model can answer.

python benchmarks/serving/bench_pressure.py [--quick]

Together: one row for each of 32 requests at a time, in this process, each model with requests that wait for the same
call and with a call for each; beside it what the model server chose by its own measurement.
Pressure: a forest of 100 trees that scikit-learn computes, 300 rows for each request, first on as many connections as
it can answer, then on many more; those who are refused ask again after a tenth of a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from load import Body, Server, running
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from noria.core.config import load_settings
from noria.core.http_errors import TooManyRequests
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.serving.client import deploy
from noria.serving.modelserver.lanes import Lane
from noria.serving.modelserver.pinning import pin_thread

NORIA = Path(sys.executable).parent / "noria"
CASE = "300 rows"
N_FEATURES, N_AT_ONCE, N_ROWS = 30, 32, 300
FEW, MANY = 4, 400
"""Connections: what the forest can answer within its two seconds, and what it cannot."""

_AGAIN_S = 0.1


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="about two seconds for each figure")
    seconds = 2 if parser.parse_args().quick else 10
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, N_FEATURES))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    compare_together(x, y, seconds)
    with tempfile.TemporaryDirectory(prefix="bench-pressure-") as made:
        folder = Path(made)
        settings = load_settings(workspace=str(folder / "workspace"), environ={})
        with open_workspace(settings) as workspace:
            train(workspace, x, y)
        press(folder, seconds)


def compare_together(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], seconds: int) -> None:
    """Ask models of three kinds with and without batches."""
    made = {
        "forest": RandomForestClassifier(100, random_state=0),
        "neighbours": KNeighborsClassifier(),
        "logistic regression": LogisticRegression(),
    }
    for name, estimator in made.items():
        lane = Lane(_Native(estimator.fit(x, y)))
        lane.measure({"x": x[:32]}, 32)
        chosen = lane.batches
        rates = {}
        for together in (True, False):
            lane.batches = together
            rates[together] = asyncio.run(_rate(lane, x[:1], seconds))
        print(
            f"{name:20} together {rates[True]:7.0f} requests/s, one by one {rates[False]:7.0f},"
            f" chosen: {'together' if chosen else 'one by one'}",
            flush=True,
        )


class _Native:
    """An estimator as the model server runs one that has no other form."""

    engine = "native"

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def predict(self, inputs: Any) -> dict[str, Any]:
        """Predict classes, and how likely each is."""
        return {
            "predictions": self._estimator.predict(inputs["x"]),
            "probabilities": self._estimator.predict_proba(inputs["x"]),
        }

    def features(self, inputs: Any) -> Any:
        """Give the inputs."""
        return inputs["x"]


async def _rate(lane: Lane, row: np.ndarray[Any, Any], seconds: int) -> float:
    """Answers per second for requests that come as the one before is answered."""
    with ThreadPoolExecutor(2, initializer=pin_thread) as threads:

        async def ask() -> int:
            if lane.is_quick(1):
                lane.run({"x": row}, 1)
                await asyncio.sleep(0)
            else:
                try:
                    await lane.predict({"x": row}, 1, threads)
                except TooManyRequests:
                    return 429
            return 200

        found = await _keep_asking(ask, N_AT_ONCE, seconds)
    return sum(each[0] == 200 for each in found) / seconds


def train(workspace: Workspace, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
    """Register and deploy the forest as where the extra for ONNX is not installed."""
    sys.modules["skl2onnx"] = None  # type: ignore[assignment]
    register(RandomForestClassifier(100, random_state=0).fit(x, y), "forest", x=x, y=y, workspace=workspace)
    deploy("forest@1", workspace=workspace)


def press(folder: Path, seconds: int) -> None:
    """Ask one worker for what it can do, and for much more."""
    file = folder / "body.json"
    rows = np.random.default_rng(1).normal(size=(N_ROWS, N_FEATURES)).round(6)
    tensor = {"name": "x", "datatype": "FP64", "shape": list(rows.shape), "data": rows.ravel().tolist()}
    file.write_text(json.dumps({"inputs": [tensor], "outputs": [{"name": "predictions"}]}))
    headers = {"Content-Type": "application/json"}
    server = Server(
        name="Noria",
        command=[str(NORIA), "serve", "--workspace", str(folder / "workspace"), "--port", "{port}"],
        url="http://127.0.0.1:{port}/v2/models/forest/infer",
        bodies={CASE: Body(file=file, headers=headers, n_connections=FEW)},
        answers=lambda _headers, body: json.loads(body)["outputs"][0]["data"],
    )
    with running(server, folder / "log") as live:
        port = int(live.url.split(":")[2].split("/")[0])
        for n in (FEW, MANY):
            found = asyncio.run(_over_http(port, file.read_bytes(), n, seconds))
            print(f"{n:4} connections: {_told(found, seconds)}, {live.memory_mb():.0f} MB", flush=True)


async def _over_http(port: int, body: bytes, n: int, seconds: int) -> list[tuple[int, float]]:
    head = (
        "POST /v2/models/forest/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(n)]

    def asker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            writer.write(request)
            told = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = next(line for line in told.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            return int(told.split(b" ", 2)[1])

        return ask

    askers = [asker(*each) for each in opened]
    found = await asyncio.gather(*(_keep_asking(each, 1, seconds) for each in askers))
    for _, writer in opened:
        writer.close()
    return [each for every in found for each in every]


async def _keep_asking(ask: Callable[[], Awaitable[int]], n: int, seconds: int) -> list[tuple[int, float]]:
    """Give status and seconds of each request of `n` who ask one after the other."""
    found = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (began := time.perf_counter()) < end:
            status = await ask()
            found.append((status, time.perf_counter() - began))
            if status == 429:
                await asyncio.sleep(_AGAIN_S)

    await asyncio.gather(*(one() for _ in range(n)))
    return found


def _told(found: list[tuple[int, float]], seconds: int) -> str:
    by_status = Counter(status for status, _ in found)
    if set(by_status) - {200, 429}:
        raise SystemExit(f"The server answered {dict(by_status)}")
    taken = np.array([taken_s for status, taken_s in found if status == 200]) * 1e3
    p50, p99 = np.percentile(taken, [50, 99]) if len(taken) else (np.nan, np.nan)
    return (
        f"{by_status[200] / seconds:6.1f} answers/s, p50 {p50:6.0f} ms, p99 {p99:6.0f} ms,"
        f" {by_status[429] / seconds:6.1f} refused/s with 429"
    )


if __name__ == "__main__":
    main()
