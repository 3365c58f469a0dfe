"""What logging through the SDK costs: a call, 100,000 points, a whole run; on a folder and on a server.

"Logged" is the time of the calls, "on disk" the time until all of it outlives the process, "stored" the time until the
run has ended and all of it is in the database. Seconds are wall clock; beside them stand the CPU seconds of this
process, and of the server where there is one.

With `--mlflow` MLflow's client does comparable work on MLflow's own server in the same minutes (`make peers
PEERS=mlflow` installs both), and with `--trackio PYTHON` the interpreter of an environment with trackio logs the same
points.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from noria.core.config import load_settings
from noria.core.key import read_key
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.client import run

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / os.environ.get("PEERS_VENV", ".venv-peers") / "mlflow" / "bin"
PROGRAMS = Path(__file__).parent / "programs"

N_POINTS = 100_000
TARGETS = {"runs": 30.0, "points": 100.0, "trackio": 10.0}
"""How many times as much as the peer does is meant."""


class Figure(NamedTuple):
    """One measurement: how many things in which wall-clock and CPU seconds."""

    n: int
    wall_s: float
    own_s: float
    server_s: float


class Place(NamedTuple):
    """A workspace to log to, and the server behind it."""

    name: str
    workspace: Workspace
    server: psutil.Process | None


def main() -> None:
    """Measure, print one line a figure, then the ratios to the peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="measure little, once: shows only that it runs")
    parser.add_argument("--mlflow", action="store_true", help="measure MLflow's client on its server, too")
    parser.add_argument("--trackio", type=Path, metavar="PYTHON", help="measure trackio by this interpreter")
    options = parser.parse_args()
    repeats = 1 if options.smoke else 5
    scale = 100 if options.smoke else 1
    print(f"{'':52} {'wall s':>8} {'own CPU':>8} {'server':>8} {'per second':>12}")
    found: dict[str, list[Figure]] = {}
    for place in places():
        run("first", workspace=place.workspace).end()
        for name, work in CASES.items():
            title = f"{place.name}: {name}"
            found[title] = [measured(place, work, scale) for _ in range(repeats)]
            report(title, found[title])
    if options.mlflow:
        compare_with_mlflow(found)
    if options.trackio:
        compare_with_trackio(options.trackio, found)


def places() -> Iterator[Place]:
    """Give a folder, then a server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_workspace(load_settings(workspace=folder, environ={})) as workspace,
    ):
        yield Place("folder", workspace, None)
    folder = tempfile.mkdtemp()
    try:
        with serving([str(Path(sys.executable).parent / "noria"), "server"], Path(folder)) as (url, process):
            environ = {"NORIA_WORKSPACE": url, "NORIA_TOKEN": read_key(Path(folder)) or ""}
            with open_workspace(load_settings(environ=environ, folder=Path(folder))) as workspace:
                yield Place("server", workspace, process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(command: list[str], folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {**os.environ, "NORIA_WORKSPACE": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environ["PATH"] = f"{PEER}{os.pathsep}{os.environ['PATH']}"
    with (folder / "server.log").open("wb") as log:
        started = subprocess.Popen(
            [*command, "--port", str(port)], cwd=folder, env=environ, stdout=log, stderr=log
        )
    process = psutil.Process(started.pid)
    try:
        await_health(port, started)
        yield f"http://127.0.0.1:{port}", process
    finally:
        for each in [*process.children(recursive=True), process]:
            each.kill()
        started.wait()


def await_health(port: int, started: subprocess.Popen[bytes], *, limit_s: float = 180.0) -> None:
    """Wait for the first answer."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and started.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
            return
        time.sleep(0.05)
    sys.exit("The server does not start")


def measured(place: Place, work: Callable[[Workspace, int], tuple[int, float]], scale: int) -> Figure:
    """Measure one piece of work; it tells how many things it did, and seconds that do not count."""
    server = server_s(place)
    own, wall = time.process_time(), time.perf_counter()
    n, aside_s = work(place.workspace, scale)
    wall, own = time.perf_counter() - wall - aside_s, time.process_time() - own
    return Figure(n, wall, own, server_s(place) - server)


def server_s(place: Place) -> float:
    """Give the CPU seconds of the server so far."""
    return 0.0 if place.server is None else sum(place.server.cpu_times()[:2])


def report(title: str, figures: list[Figure]) -> None:
    """Print the medians, and the wall-clock range."""
    wall = [figure.wall_s for figure in figures]
    middle = statistics.median(wall)
    own = statistics.median(figure.own_s for figure in figures)
    server = statistics.median(figure.server_s for figure in figures)
    spread = f"[{min(wall):.3f}-{max(wall):.3f}]"
    print(
        f"{title:52} {middle:8.3f} {own:8.3f} {server:8.3f} {figures[0].n / middle:12,.0f}  {spread}",
        flush=True,
    )


def points_logged(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Log points, one a call; only the calls count."""
    n = N_POINTS // scale
    with run(workspace=workspace) as active:
        for step in range(n):
            active.log({"loss": step * 0.001}, step=step)
        called = time.perf_counter()
    return n, time.perf_counter() - called


def points_on_disk(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Log points, one a call, until all of them outlive the process."""
    n = N_POINTS // scale
    with run(workspace=workspace) as active:
        for step in range(n):
            active.log({"loss": step * 0.001}, step=step)
        active._outbox.write()
        written = time.perf_counter()
    return n, time.perf_counter() - written


def points_stored(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Log points, one a call, until the run has ended."""
    n = N_POINTS // scale
    with run(workspace=workspace) as active:
        for step in range(n):
            active.log({"loss": step * 0.001}, step=step)
    return n, 0.0


def counted_points_stored(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Log points without steps of their own."""
    n = N_POINTS // scale
    with run(workspace=workspace) as active:
        for step in range(n):
            active.log({"loss": step * 0.001})
    return n, 0.0


def ten_metrics_stored(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Log ten metrics a call, a million points in all."""
    n_calls = N_POINTS // scale
    with run(workspace=workspace) as active:
        for step in range(n_calls):
            x = step * 0.001
            active.log(
                {"a": x, "b": x, "c": x, "d": x, "e": x, "f": x, "g": x, "h": x, "i": x, "j": x}, step=step
            )
    return 10 * n_calls, 0.0


def whole_runs(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Start runs, log ten params and ten metrics to each, and end them, with everything that runs capture."""
    n = max(200 // scale, 2)
    for _ in range(n):
        with run(workspace=workspace) as active:
            for i in range(10):
                active.param(f"p{i}", i)
            active.log({f"m{i}": 0.5 for i in range(10)}, step=0)
    return n, 0.0


def starts(workspace: Workspace, scale: int) -> tuple[int, float]:
    """Start runs that capture everything; only the starts count."""
    n, aside_s = max(50 // scale, 1), 0.0
    for _ in range(n):
        active = run(workspace=workspace)
        started = time.perf_counter()
        active.end()
        aside_s += time.perf_counter() - started
    return n, aside_s


CASES: dict[str, Callable[[Workspace, int], tuple[int, float]]] = {
    "start of a run that captures everything": starts,
    "100,000 points, one a call: logged": points_logged,
    "100,000 points, one a call: on disk": points_on_disk,
    "100,000 points, one a call: stored": points_stored,
    "100,000 points without a step: stored": counted_points_stored,
    "1,000,000 points, ten a call: stored": ten_metrics_stored,
    "whole runs, 10 params and 10 metrics": whole_runs,
}


def compare_with_mlflow(found: dict[str, list[Figure]]) -> None:
    """Have MLflow's client work on MLflow's server, and print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [str(PEER / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        with serving(command, folder) as (url, _):
            program = [str(PEER / "python"), str(PROGRAMS / "mlflow_points.py"), url]
            done = subprocess.run(program, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"\nMLflow's client on its server: {told['runs']:.1f} runs/s, {told['points']:,.0f} points/s")
    for name, case in (
        ("runs", "whole runs, 10 params and 10 metrics"),
        ("points", "1,000,000 points, ten a call: stored"),
    ):
        for place in ("folder", "server"):
            ours = statistics.median(figure.n / figure.wall_s for figure in found[f"{place}: {case}"])
            print(f"  {name} per second, {place}: {ours / told[name]:.0f} times (target {TARGETS[name]:.0f})")


def compare_with_trackio(python: Path, found: dict[str, list[Figure]]) -> None:
    """Have trackio log the same points, and print the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "TRACKIO_DIR": folder, "HOME": folder, "HF_HUB_OFFLINE": "1"}
        program = [str(python), str(PROGRAMS / "trackio_points.py")]
        done = subprocess.run(program, env=environ, capture_output=True, text=True, check=True)
    seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
    print(f"\ntrackio: 100,000 points in {seconds:.2f} s")
    for case in ("on disk", "stored"):
        ours = statistics.median(f.wall_s for f in found[f"folder: 100,000 points, one a call: {case}"])
        print(f"  {case}: {seconds / ours:.1f} times as fast (target {TARGETS['trackio']:.0f})")


if __name__ == "__main__":
    main()
