"""What a prediction over HTTP costs: Noria, FastAPI with ONNX Runtime, a bare app on Granian; MLflow and BentoML too.

One worker each, the same two scikit-learn models (random forest of 100 trees, logistic regression; 30 features), one
row on 32 connections and 1,000 rows on one. Only classes are asked for, since that is what the peers answer with.
Noria checks inputs, gives ids and keeps each answered request; the peers do not. Of 1,000 rows it is also told how long
they take in ONNX Runtime alone, on one thread of this process.

Then each server is asked for one row as often as the others, half as often as the slowest of them can answer, to see
how long the slowest answers take (the 99th percentile) where all have the same to do.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from load import Body, Running, Server, Taken, running

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PEERS = ROOT / ".venv-peers"
NORIA = Path(sys.executable).parent / "noria"
JSON = {"Content-Type": "application/json"}
MODELS = ("rf", "lr")
CONNECTIONS = {"1": 32, "1000": 1}
_FIGURES = ("per_s", "cpu_ms", "p50_ms", "p99_ms")
_ALONE_TIMES = 20
_LOAD = 0.5
"""Of what the slowest server can answer, where all are asked equally often."""

_PAUSE_S = 1.0
"""In which a server ends what it has put off, so that the next one has both cores."""

Rows = dict[str, list[list[float]]]


class Case(NamedTuple):
    """One server, asked in one way."""

    server: Server
    live: Running
    name: str

    @property
    def n_rows(self) -> str:
        """How many rows a request has, as bodies are named."""
        return self.name.split()[0]


def main() -> None:
    """Print a line for each server, model and case, and what Noria does beside each other server."""
    chosen = _options()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as made:
        folder = Path(made)
        train(sys.executable, folder, ["joblib", "onnx", "noria"])
        told = json.loads((folder / "rows.json").read_text())
        print(
            f"{'':40} {'req/s':>8} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8} {'start s':>8} {'MB':>6}",
            flush=True,
        )
        for model in chosen.model or MODELS:
            with ExitStack() as stack:
                cases = started(stack, servers(chosen, folder, model, told["rows"]), folder, chosen.case)
                for n_rows in dict.fromkeys(case.n_rows for case in cases):
                    group = [case for case in cases if case.n_rows == n_rows]
                    check(group, told["wanted"][model][n_rows])
                    alone = Alone(folder / f"{model}.onnx", told["rows"][n_rows])
                    taken = measure(group, model, chosen, alone)
                    compare(taken)
                    alone.compare(taken)
                    if n_rows == "1":
                        load_alike(group, model, chosen, taken)


def started(stack: ExitStack, chosen: list[Server], folder: Path, names: list[str] | None) -> list[Case]:
    """Start all servers, and give the cases that are to be measured."""
    cases = []
    for server in chosen:
        live = stack.enter_context(running(server, folder / f"{server.name}.log"))
        cases += [Case(server, live, name) for name in server.bodies if not names or name in names]
    return cases


def check(group: list[Case], wanted: Any) -> None:
    """See that all servers predict what the model does, and warm them."""
    for case in group:
        if case.server.name != "MLflow" and case.live.predicted(case.name) != wanted:
            raise SystemExit(f"{case.server.name} predicts something else than the model")
        case.live.measure(case.name, 1)


class Alone:
    """ONNX Runtime without a server: the same rows, on one thread of this process, in the same turns."""

    def __init__(self, model: Path, rows: list[list[float]]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._rows = np.array(rows, dtype=np.float32)
        self._turns_ms: list[float] = []

    def measure(self) -> None:
        """Take note of how long the rows take in this turn."""
        name = self._session.get_inputs()[0].name
        times_ms = []
        for _ in range(_ALONE_TIMES):
            began = time.perf_counter()
            self._session.run(None, {name: self._rows})
            times_ms.append((time.perf_counter() - began) * 1e3)
        self._turns_ms.append(statistics.median(times_ms))

    def compare(self, taken: dict[str, list[Taken]]) -> None:
        """Print how much longer an answer takes, as the median of the turns' ratios; of many rows only."""
        if len(self._rows) == 1:
            return
        print(f"  ONNX Runtime alone: {statistics.median(self._turns_ms):.2f} ms")
        for name in (name for name in taken if name.startswith("Noria,")):
            pairs = zip(taken[name], self._turns_ms, strict=True)
            print(f"  {name}: {statistics.median(turn.p50_ms / ms for turn, ms in pairs):.2f} times as long")


def measure(
    group: list[Case], model: str, chosen: argparse.Namespace, alone: Alone
) -> dict[str, list[Taken]]:
    """Ask all servers in turns, since a machine is not as fast at one minute as at the next."""
    taken: dict[str, list[Taken]] = {f"{case.server.name}, {model}, {case.name}": [] for case in group}
    for _ in range(chosen.repeats):
        alone.measure()
        for case, turns in zip(group, taken.values(), strict=True):
            turns.append(case.live.measure(case.name, chosen.seconds))
            time.sleep(_PAUSE_S)
    for case, (name, turns) in zip(group, taken.items(), strict=True):
        middle = (statistics.median(getattr(turn, figure) for turn in turns) for figure in _FIGURES)
        per_s, cpu_ms, p50_ms, p99_ms = middle
        print(
            f"{name:40} {per_s:8.0f} {cpu_ms:8.3f} {p50_ms:8.2f} {p99_ms:8.2f}"
            f" {case.live.start_s:8.2f} {case.live.memory_mb():6.0f}",
            flush=True,
        )
    return taken


def load_alike(
    group: list[Case], model: str, chosen: argparse.Namespace, taken: dict[str, list[Taken]]
) -> None:
    """Ask all servers equally often in turns, and print how long the slowest answers take."""
    slowest = min(statistics.median(turn.per_s for turn in turns) for turns in taken.values())
    pause_ms = max(1, round(1e3 * CONNECTIONS["1"] / (slowest * _LOAD)))
    alike: dict[str, list[Taken]] = {f"{case.server.name}, {model}, {case.name}": [] for case in group}
    for _ in range(chosen.repeats):
        for case, turns in zip(group, alike.values(), strict=True):
            turns.append(case.live.measure(case.name, chosen.load_seconds, pause_ms=pause_ms))
            time.sleep(_PAUSE_S)
    for name, turns in alike.items():
        middle = (statistics.median(getattr(turn, figure) for turn in turns) for figure in _FIGURES)
        per_s, cpu_ms, p50_ms, p99_ms = middle
        print(
            f"  at equal load: {name:30} {per_s:6.0f} {cpu_ms:8.3f} {p50_ms:8.2f} {p99_ms:8.2f}"
            f"  (of {min(turn.n for turn in turns)} requests a turn)",
            flush=True,
        )


def compare(taken: dict[str, list[Taken]]) -> None:
    """Print what Noria does beside the others, as the median of the turns' ratios."""
    ours = [name for name in taken if name.startswith("Noria,")]
    for name in ours:
        for other in (each for each in taken if each not in ours):
            pairs = list(zip(taken[name], taken[other], strict=True))
            more = statistics.median(we.per_s / they.per_s for we, they in pairs)
            less = statistics.median(they.cpu_ms / we.cpu_ms for we, they in pairs)
            print(
                f"  {name} beside {other.partition(',')[0]}: {more:.2f} times the requests, CPU / {less:.2f}"
            )


def servers(chosen: argparse.Namespace, folder: Path, model: str, rows: Rows) -> list[Server]:
    """Give the servers that are to be measured."""
    makers: dict[str, Callable[[], Server]] = {
        "noria": lambda: noria(chosen.noria, folder, model, rows),
        "fastapi": lambda: fastapi(folder, model, rows),
        "bare": lambda: bare(folder, model, rows, "asgi"),
        "bare-rsgi": lambda: bare(folder, model, rows, "rsgi"),
        "mlflow": lambda: mlflow(folder, model, rows),
        "bentoml": lambda: bentoml(folder, model, rows, "Plain"),
        "bentoml-batch": lambda: bentoml(folder, model, rows, "Batch"),
    }
    wanted = chosen.only or ["noria", "fastapi", "bare", *chosen.beside]
    return [makers[name]() for name in wanted if _is_there(name)]


def noria(command: str, folder: Path, model: str, rows: Rows) -> Server:
    """Give Noria's own server, on the workspace that `train` made."""
    arguments = ["serve", "--workspace", str(folder / "workspace"), "--port", "{port}"]
    return Server(
        name="Noria",
        command=[*shlex.split(command), *arguments],
        url=f"http://127.0.0.1:{{port}}/v2/models/{model}/infer",
        bodies={
            **{f"{k} rows, JSON": _protocol_body(folder, rows[k], k) for k in rows},
            **{f"{k} rows, binary": _binary_body(folder, rows[k], k) for k in rows},
        },
        answers=_protocol_answer,
    )


def fastapi(folder: Path, model: str, rows: Rows) -> Server:
    """Give a hand-written app on uvicorn, with ONNX Runtime."""
    binaries = PEERS / "fastapi" / "bin"
    return Server(
        name="FastAPI",
        command=[
            *(str(binaries / "uvicorn"), "fastapi_app:app", "--host", "127.0.0.1", "--port", "{port}"),
            *("--no-access-log", "--log-level", "warning"),
        ],
        url="http://127.0.0.1:{port}/predict",
        bodies=_bodies(folder, rows, "rows"),
        answers=_predictions,
        environment={"MODE": "onnx", "MODEL": str(folder / f"{model}.onnx")},
        cwd=PROGRAMS,
    )


def bare(folder: Path, model: str, rows: Rows, mode: str) -> Server:
    """Give what does nothing but decoding, ONNX Runtime and encoding."""
    return Server(
        name=f"bare {mode.upper()}",
        command=[sys.executable, str(PROGRAMS / "bare_app.py")],
        url="http://127.0.0.1:{port}/",
        bodies=_bodies(folder, rows, "rows"),
        answers=_predictions,
        environment={"MODE": mode, "PORT": "{port}", "MODEL": str(folder / f"{model}.onnx")},
    )


def mlflow(folder: Path, model: str, rows: Rows) -> Server:
    """Give `mlflow models serve`."""
    path = folder / "of-mlflow"
    if not path.exists():
        path.mkdir()
        train(str(PEERS / "mlflow" / "bin" / "python"), path, ["mlflow"])
    binaries = PEERS / "mlflow" / "bin"
    return Server(
        name="MLflow",
        command=[
            *(str(binaries / "mlflow"), "models", "serve", "-m", str(path / f"mlflow-{model}")),
            *("--env-manager", "local", "-h", "127.0.0.1", "-p", "{port}"),
        ],
        url="http://127.0.0.1:{port}/invocations",
        bodies=_bodies(folder, rows, "inputs"),
        answers=_predictions,
        environment={"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{binaries}:/usr/bin:/bin"},
    )


def bentoml(folder: Path, model: str, rows: Rows, service: str) -> Server:
    """Give a BentoML service of one worker."""
    return Server(
        name=f"BentoML {service.lower()}",
        command=[
            *(str(PEERS / "bentoml" / "bin" / "bentoml"), "serve", f"bento_service:{service}"),
            *("--host", "127.0.0.1", "--port", "{port}", "-q"),
        ],
        url="http://127.0.0.1:{port}/predict",
        bodies=_bodies(folder, rows, "rows"),
        answers=lambda _headers, body: json.loads(body),
        environment={
            "MODEL": str(folder / f"{model}.joblib"),
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        },
        cwd=PROGRAMS,
    )


def train(python: str, folder: Path, forms: list[str]) -> None:
    """Fit and save the models in an environment."""
    command = [python, "-W", "ignore", str(PROGRAMS / "train.py"), str(folder), *forms]
    subprocess.run(command, check=True, capture_output=True)


def _bodies(folder: Path, rows: Rows, key: str) -> dict[str, Body]:
    return {f"{k} rows, JSON": _body(folder, f"{key}-{k}", {key: data}, k) for k, data in rows.items()}


def _body(folder: Path, name: str, value: Any, k: str) -> Body:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(value))
    return Body(file=file, headers=JSON, n_connections=CONNECTIONS[k])


def _protocol_body(folder: Path, rows: list[list[float]], k: str) -> Body:
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64"}
    data = [value for row in rows for value in row]
    wanted = [{"name": "predictions"}]
    return _body(folder, f"protocol-{k}", {"inputs": [{**tensor, "data": data}], "outputs": wanted}, k)


def _binary_body(folder: Path, rows: list[list[float]], k: str) -> Body:
    data = np.array(rows, dtype="<f8").tobytes()
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64"}
    wanted = [{"name": "predictions", "parameters": {"binary_data": True}}]
    described = {"inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}], "outputs": wanted}
    head = json.dumps(described).encode()
    file = folder / f"binary-{k}.bin"
    file.write_bytes(head + data)
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Body(file=file, headers=headers, n_connections=CONNECTIONS[k])


def _protocol_answer(headers: dict[str, str], body: bytes) -> list[int]:
    n_head = headers.get("inference-header-content-length")
    if n_head is not None:
        found: list[int] = np.frombuffer(body[int(n_head) :], dtype="<i8").tolist()
        return found
    listed: list[int] = json.loads(body)["outputs"][0]["data"]
    return listed


def _predictions(_headers: dict[str, str], body: bytes) -> list[int]:
    found: list[int] = json.loads(body)["predictions"]
    return found


def _is_there(name: str) -> bool:
    peer = name.partition("-")[0]
    if peer in ("noria", "bare") or (PEERS / peer / ".ready").exists():
        return True
    print(f"{peer} is not installed: make peers PEERS={peer} ARGS=--collect-only")
    return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one second for each case")
    parser.add_argument("--smoke", action="store_true", help="as --quick, of Noria alone with one model")
    parser.add_argument("--seconds", type=int, default=4, help="of each turn (default: 4)")
    parser.add_argument(
        "--load-seconds",
        type=int,
        help="of each turn at equal load, which is small beside a slow server (default: twice --seconds)",
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: 3)")
    parser.add_argument("--only", action="append", help="measure this server; may be given several times")
    parser.add_argument("--model", action="append", choices=MODELS, help="measure with this model")
    parser.add_argument("--case", action="append", help="measure this case, such as `1 rows, JSON`")
    parser.add_argument("--mlflow", action="append_const", dest="beside", const="mlflow")
    parser.add_argument("--bentoml", action="append_const", dest="beside", const="bentoml")
    parser.add_argument("--bentoml-batch", action="append_const", dest="beside", const="bentoml-batch")
    parser.add_argument("--bare-rsgi", action="append_const", dest="beside", const="bare-rsgi")
    parser.add_argument("--noria", default=str(NORIA), help="command of the Noria to measure")
    parser.set_defaults(beside=[])
    chosen = parser.parse_args()
    if chosen.smoke:
        chosen.only, chosen.model = ["noria"], ["lr"]
    if chosen.quick or chosen.smoke:
        chosen.seconds = chosen.repeats = 1
    chosen.load_seconds = chosen.load_seconds or 2 * chosen.seconds
    return chosen


if __name__ == "__main__":
    main()
