"""A table of 1 GB handed from step to step: seconds between one step's end and the next one's begin, and memory.

In one process, in a process of its own, and to two steps at once in two of them, of which the second one starts then.

Memory is what the processes of the command hold for themselves at most (`RssAnon` and `RssShmem`, sampled each 20 ms;
pages of mapped files are the system's and not counted), less what the same command holds with a table of no size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

NORIA = str(Path(sys.executable).parent / "noria")
FLOW = """
import json
import os
import time
from pathlib import Path

import numpy as np
import polars as pl
from noria import pipeline, step


def told(name):
    with open(os.environ["HANDOVER_TIMES"], "a") as file:
        file.write(json.dumps([name, time.time()]) + "\\n")


@step(cache=False)
def make(n_bytes: int) -> pl.DataFrame:
    random = np.random.default_rng(3)
    table = pl.DataFrame({f"c{n}": random.random(max(1, n_bytes // 80)) for n in range(10)})
    told("made")
    return table


@step(cache=False)
def add(table: pl.DataFrame) -> float:
    told("taken")
    return float(table["c1"].sum())


@pipeline
def hand(n_bytes: int) -> float:
    return add(make(n_bytes))


@pipeline
def share(n_bytes: int) -> list[float]:
    table = make(n_bytes)
    return [add(table), add(table)]
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One run of the command."""

    handed_s: float
    whole_s: float
    peak_bytes: int


def main() -> None:
    """Print a line for each way to run: median, fastest and slowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the workspaces are made")
    parser.add_argument("--smoke", action="store_true", help="once, and small: shows only that it runs")
    chosen = parser.parse_args()
    size = 40_000_000 if chosen.smoke else int(chosen.gigabytes * 1e9)
    repeats = 1 if chosen.smoke else chosen.repeats
    print(f"{'':44} {'median':>8} {'min':>8} {'max':>8}   ({repeats} times, {size / 1e9:g} GB)")
    for name, flow, options in (
        ("one process", "hand", []),
        ("a process of its own", "hand", ["--workers", "2"]),
        ("two steps, two processes", "share", ["--workers", "2"]),
    ):
        bare = run(flow, options, 0, chosen.folder).peak_bytes
        taken = [run(flow, options, size, chosen.folder) for _ in range(repeats)]
        line(f"{name}: handed over, s", [one.handed_s for one in taken])
        line(f"{name}: whole command, s", [one.whole_s for one in taken])
        line(f"{name}: peak memory, tables", [(one.peak_bytes - bare) / size for one in taken])


def line(name: str, values: list[float]) -> None:
    """Print what was measured."""
    print(f"{name:44} {statistics.median(values):8.2f} {min(values):8.2f} {max(values):8.2f}", flush=True)


def run(flow: str, options: list[str], n_bytes: int, place: Path | None) -> Taken:
    """Run the command in a new workspace."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        project = Path(folder, "project")
        project.mkdir()
        (project / "flow.py").write_text(FLOW)
        times = Path(folder, "times")
        environ = {
            **os.environ,
            "NORIA_WORKSPACE": str(Path(folder, "workspace")),
            "HANDOVER_TIMES": str(times),
        }
        command = [NORIA, "run", f"flow:{flow}", "-p", f"n_bytes={n_bytes}", *options]
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.DEVNULL) as process:
            peak = _watch(process)
        whole_s = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"`{' '.join(command)}` failed")
        told = dict(json.loads(line) for line in times.read_text().splitlines())
    return Taken(told["taken"] - told["made"], whole_s, peak)


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Sample what the processes of a command hold until it ends."""
    peak = 0
    root = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        peak = max(peak, sum(_held(member.pid) for member in family))
        time.sleep(0.02)
    return peak


def _held(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return sum(int(lines.get(name, "0 kB").split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))


if __name__ == "__main__":
    main()
