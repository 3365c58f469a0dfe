"""What a prediction over HTTP costs: Noria, FastAPI with ONNX Runtime, a bare app on Granian; MLflow and BentoML too.

One worker each, the same two scikit-learn models (random forest of 100 trees, logistic regression; 30 features), one
row on 32 connections and 1,000 rows on one. Only classes are asked for, since that is what the peers answer with.
Noria checks inputs, gives ids and keeps each answered request; the peers do not.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from load import Body, Server, Taken, running

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PEERS = ROOT / ".venv-peers"
NORIA = Path(sys.executable).parent / "noria"
JSON = {"Content-Type": "application/json"}
MODELS = ("rf", "lr")
CONNECTIONS = {"1": 32, "1000": 1}

Rows = dict[str, list[list[float]]]


class Figures(NamedTuple):
    """What a server did in one case, as the median of the turns."""

    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    """Print one line for each server, model and case."""
    chosen = _options()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as made:
        folder = Path(made)
        train(sys.executable, folder, ["joblib", "onnx", "noria"])
        told = json.loads((folder / "rows.json").read_text())
        print(
            f"{'':40} {'req/s':>8} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8} {'start s':>8} {'MB':>6}",
            flush=True,
        )
        found: dict[str, dict[str, Figures]] = {}
        for model in chosen.model or MODELS:
            for server in servers(chosen, folder, model, told["rows"]):
                for case, figures in measure(server, model, chosen, folder, told["wanted"][model]):
                    found.setdefault(f"{model}, {case}", {})[server.name] = figures
        compare(found)


def compare(found: dict[str, dict[str, Figures]]) -> None:
    """Print what Noria does beside the others; bytes beside their JSON, since they take nothing else."""
    for case, by_server in found.items():
        ours = by_server.get("Noria")
        others = found.get(case.replace("binary", "JSON"), {})
        for name, theirs in others.items():
            if ours is not None and name != "Noria":
                more, less = ours.per_s / theirs.per_s, theirs.cpu_ms / ours.cpu_ms
                print(
                    f"{case}, beside {name}: {more:.2f} times the requests, CPU of each {less:.2f} times less"
                )


def measure(
    server: Server, model: str, chosen: argparse.Namespace, folder: Path, wanted: dict[str, Any]
) -> Iterator[tuple[str, Figures]]:
    """Measure all cases of one server."""
    with running(server, folder / "server.log") as live:
        for case in server.bodies:
            if chosen.case and case not in chosen.case:
                continue
            rows = case.split(",")[0].split()[0]
            if server.name != "MLflow" and live.predicted(case) != wanted[rows]:
                raise SystemExit(f"{server.name} predicts something else than the model")
            live.measure(case, 1)
            taken = [live.measure(case, chosen.seconds) for _ in range(chosen.repeats)]
            figures = _middle(taken)
            print(
                f"{f'{server.name}, {model}, {case}':40} {figures.per_s:8.0f} {figures.cpu_ms:8.3f}"
                f" {figures.p50_ms:8.2f} {figures.p99_ms:8.2f} {live.start_s:8.2f} {live.memory_mb():6.0f}",
                flush=True,
            )
            yield case, figures


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


def _middle(taken: list[Taken]) -> Figures:
    return Figures(
        *(float(statistics.median(getattr(each, name) for each in taken)) for name in Figures._fields)
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one second for each case")
    parser.add_argument("--smoke", action="store_true", help="as --quick, of Noria alone with one model")
    parser.add_argument("--seconds", type=int, default=4, help="of each turn (default: 4)")
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
    return chosen


if __name__ == "__main__":
    main()
