"""What logging through the SDK costs: a call, 100,000 points, a whole run; on a folder and on a server.

"Logged" is the time of the calls, "on disk" the time until all of it outlives the process, "stored" the time until the
run has ended and all of it is in the database. Seconds are wall clock; beside them stand the CPU seconds of this
process, and of the server where there is one.

With `--mlflow` MLflow's client does comparable work on MLflow's own server in the same minutes, and with `--points`
trackio, Aim and W&B (offline) log the same points, turn by turn with a folder. `make .venv-peers/NAME/.ready` installs
each.
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
PEERS = ROOT / os.environ.get("PEERS_VENV", ".venv-peers")
PEER = PEERS / "mlflow" / "bin"
PROGRAMS = Path(__file__).parent / "programs"

N_POINTS = 100_000
TARGETS = {"runs": 30.0, "points": 100.0, "trackio": 10.0, "aim": 40.0, "wandb": 40.0}
"""How many times as much as the peer does is meant."""

POINT_LOGGERS = ("trackio", "aim", "wandb")


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
    parser.add_argument(
        "--points",
        nargs="+",
        default=[],
        choices=POINT_LOGGERS,
        help="measure what others take for the points",
    )
    parser.add_argument("--turns", type=int, default=3, help="of these")
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
    for name in options.points:
        compare_points(name, options.turns)


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


def compare_points(name: str, turns: int) -> None:
    """Have another tool and a folder log the same points by turns, and print the ratios."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{name} is not installed: make {PEERS.name}/{name}/.ready")
    cases = {"on disk": points_on_disk, "stored": points_stored}
    theirs: list[float] = []
    ours: dict[str, list[float]] = {case: [] for case in cases}
    with (
        tempfile.TemporaryDirectory() as mine,
        open_workspace(load_settings(workspace=mine, environ={})) as workspace,
    ):
        run("first", workspace=workspace).end()
        for _ in range(turns):
            theirs.append(_seconds_of(name, python))
            for case, work in cases.items():
                ours[case].append(measured(Place("folder", workspace, None), work, 1).wall_s)
    print(f"\n{name}: {N_POINTS:,} points in {_spread(theirs)} s, {turns} turns")
    for case, seconds in ours.items():
        ratios = [other / own for other, own in zip(theirs, seconds, strict=True)]
        print(f"  {case}: {_spread(seconds)} s, {_spread(ratios)} times as fast (target {TARGETS[name]:.0f})")


def _seconds_of(name: str, python: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            **dict.fromkeys(("HOME", "TRACKIO_DIR", "WANDB_DIR"), folder),
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "WANDB_ERROR_REPORTING": "false",
        }
        program = [str(python), str(PROGRAMS / f"{name}_points.py")]
        done = subprocess.run(program, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    told = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    return float(json.loads(told)["seconds"])


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
