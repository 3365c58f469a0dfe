"""Noria's server and MLflow's own, side by side, as one unmodified MLflow client sees them.

Both servers run on SQLite with their defaults, one after the other, and the same client program does the same work on
each. Printed are CPU seconds of the server's processes and wall-clock seconds of the client, both per operation, and
their ratios; then the time to start and the memory.

Needs MLflow in an environment of its own: `make peers PEERS=mlflow` builds it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / os.environ.get("PEERS_VENV", ".venv-peers") / "mlflow" / "bin"
CLIENT = Path(__file__).parent / "programs" / "mlflow_client.py"

TARGETS = {
    "run": 15.0,
    "point": 20.0,
    "single metric": 8.0,
    "search, 100 of the matches": 60.0,
    "search, 5,000 of the matches": 25.0,
    "history of 100,000 points": 15.0,
}
"""How many times less CPU of the server an operation is meant to take."""


@dataclass(slots=True)
class Served:
    """A running server and what was measured of it."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    start_s: float = 0.0
    rest_mib: float = 0.0
    after_mib: float = 0.0
    peak_mib: float = 0.0
    n_processes: int = 0
    phases: dict[str, dict[str, float]] = field(default_factory=dict)


def main() -> None:
    """Measure both servers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="little work, once: shows only that it runs")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--only", choices=["noria", "mlflow"], help="measure one server alone")
    options = parser.parse_args()
    if not (PEER / "python").exists():
        print("MLflow is not installed: make peers PEERS=mlflow")
        return
    measured = [
        measure(name, smoke=options.smoke)
        for name in ("noria", "mlflow")
        # MLflow's own server takes half a minute to start on a busy machine, which is no matter of a smoke.
        if options.only == name or (options.only is None and not (options.smoke and name == "mlflow"))
    ]
    for served in measured:
        report(served)
    if len(measured) == 2:
        compare(*measured)
    if options.json:
        options.json.write_text(json.dumps({s.name: s.phases for s in measured}, indent=1))


def measure(name: str, *, smoke: bool) -> Served:
    """Start a server in an empty folder, let the client do its work, and stop it."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    try:
        with serving(name, folder) as served, watching(served):
            work(served, folder, smoke=smoke)
            time.sleep(5)
            served.after_mib, _ = memory_mib(served.process.pid)
        return served
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Served]:
    """Run a server, from the first answer of `/health` on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if name == "noria":
        command = [str(Path(sys.executable).parent / "noria"), "server", "--port", str(port)]
        command += ["--workspace", str(folder / "workspace")]
    else:
        command = [str(PEER / "mlflow"), "server", "--port", str(port)]
        command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "PATH": f"{PEER}{os.pathsep}{os.environ['PATH']}"}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    began = time.perf_counter()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    served = Served(name=name, port=port, process=process)
    try:
        wait_until_healthy(served, folder)
        served.start_s = time.perf_counter() - began
        wait_until_at_rest(process.pid)
        served.rest_mib, served.n_processes = memory_mib(process.pid)
        yield served
    finally:
        for each in tree(process.pid):
            each.kill()
        process.wait()


def wait_until_healthy(served: Served, folder: Path, *, limit_s: float = 180.0) -> None:
    """Wait for the server's first answer."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{served.port}/health", timeout=5).read()
        except OSError:
            if time.monotonic() > deadline or served.process.poll() is not None:
                sys.exit(f"{served.name} does not start:\n{(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.02)
        else:
            return


def wait_until_at_rest(pid: int, *, limit_s: float = 60.0) -> None:
    """Wait for what a server still does after its first answer, which is no part of any operation."""
    deadline, quiet = time.monotonic() + limit_s, 0
    while quiet < 3 and time.monotonic() < deadline:
        before = cpu_s(pid)
        time.sleep(1)
        quiet = quiet + 1 if cpu_s(pid) - before < 0.1 else 0


@contextmanager
def watching(served: Served) -> Iterator[None]:
    """Note the most memory that the server had."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            served.peak_mib = max(served.peak_mib, memory_mib(served.process.pid)[0])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def work(served: Served, folder: Path, *, smoke: bool) -> None:
    """Let the client do its work, and note after each phase what the server's processes have used."""
    command = [str(PEER / "python"), str(CLIENT), f"http://127.0.0.1:{served.port}"]
    if served.name == "mlflow":
        command += ["--seed-sqlite", str(folder / "mlflow.db")]
    if smoke:
        command += ["--smoke"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, bufsize=1)
    assert client.stdout is not None
    assert client.stdin is not None
    before = 0.0
    for line in client.stdout:
        told = json.loads(line)
        used = cpu_s(served.process.pid)
        if "begin" in told:
            before = used
        else:
            n = told["n"]
            figures = {"cpu_ms": (used - before) / n * 1e3, "wall_ms": told["wall_s"] / n * 1e3}
            served.phases[told["phase"]] = figures
            print(f"{served.name}: {told['phase']}: {figures['cpu_ms']:.3f} ms of CPU", file=sys.stderr)
        client.stdin.write("go\n")
    if client.wait() != 0:
        sys.exit(f"the client of {served.name} failed")


def tree(pid: int) -> list[psutil.Process]:
    """Give a process and all below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(pid: int) -> float:
    """Give the CPU seconds that the processes have used so far."""
    used = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def memory_mib(pid: int) -> tuple[float, int]:
    """Give the proportional memory of the processes, and their number."""
    found = tree(pid)
    total = 0
    for process in found:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 2**20, len(found)


def report(served: Served) -> None:
    """Print what one server took."""
    print(f"\n{served.name}: ready in {served.start_s:.1f} s, {served.n_processes} processes,")
    print(
        f"  memory at rest {served.rest_mib:.0f} MiB, at most {served.peak_mib:.0f} MiB,"
        f" at rest after the work {served.after_mib:.0f} MiB (PSS)"
    )
    print(f"  {'per operation':34} {'server CPU ms':>14} {'wall ms':>10}")
    for name, figures in served.phases.items():
        print(f"  {name:34} {figures['cpu_ms']:14.3f} {figures['wall_ms']:10.3f}")


def compare(noria: Served, mlflow: Served) -> None:
    """Print how many times less Noria took."""
    print(f"\n{'MLflow / Noria':36} {'server CPU':>11} {'target':>8} {'wall':>8} {'target':>8}")
    for name, figures in noria.phases.items():
        peer = mlflow.phases[name]
        cpu = peer["cpu_ms"] / max(figures["cpu_ms"], 1e-9)
        wall = peer["wall_ms"] / figures["wall_ms"]
        target = TARGETS.get(name)
        wanted = (f"{target:.0f}", "2") if target else ("", "")
        print(f"{name:36} {cpu:10.1f}x {wanted[0]:>8} {wall:7.1f}x {wanted[1]:>8}")
    print(f"{'memory at most':36} {mlflow.peak_mib / noria.peak_mib:10.1f}x {'4':>8}")


if __name__ == "__main__":
    main()
