"""What a pipeline costs beside its own work: whole commands, and one trivial step in a running process."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.pipelines.loading import load_pipeline
from noria.pipelines.runner import run_pipeline

NORIA = str(Path(sys.executable).parent / "noria")
CHAIN = """
from noria import pipeline, step


@step
def first(n: int) -> int:
    return n


@step
def add(x: int) -> int:
    return x + 1


@pipeline
def chain(start: int = 0, length: int = 10) -> int:
    x = first(start)
    for _ in range(length - 1):
        x = add(x)
    return x
"""
LENGTH = 200


def main() -> None:
    """Print one line per case: median, fastest and slowest, wall clock and CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="measure once: shows only that the benchmark runs"
    )
    repeats = 1 if parser.parse_args().smoke else 9
    print(f"{'':52} {'median':>8} {'min':>8} {'max':>8}   ({repeats} times)")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        project.mkdir()
        (project / "flow.py").write_text(CHAIN)
        for name, measure in CASES.items():
            taken = [measure(project, number) for number in range(repeats)]
            for unit, values in zip(("wall ms", "CPU ms"), zip(*taken, strict=True), strict=True):
                listed = [value * 1e3 for value in values]
                middle = statistics.median(listed)
                print(f"{name + ', ' + unit:52} {middle:8.1f} {min(listed):8.1f} {max(listed):8.1f}")


def first_command(project: Path, number: int) -> tuple[float, float]:
    """Run 10 steps as a command in a workspace that does not exist yet."""
    return _command(project, f"new-{number}", start=0)


def new_values_command(project: Path, number: int) -> tuple[float, float]:
    """Run 10 steps whose results are not known, in a workspace that exists."""
    _command(project, "old", start=-1_000_000)
    return _command(project, "old", start=1_000 * number)


def unchanged_command(project: Path, number: int) -> tuple[float, float]:
    """Run 10 steps whose results are all known."""
    _command(project, "same", start=number)
    return _command(project, "same", start=number)


def new_step(project: Path, number: int) -> tuple[float, float]:
    """Run a long chain in one process, and give the time of one step."""
    return _in_process(project, start=100_000 * (number + 1), times=1)


def reused_step(project: Path, number: int) -> tuple[float, float]:
    """Run a long chain whose results are known, and give the time of one step."""
    return _in_process(project, start=100_000 * (number + 1), times=2)


def _command(project: Path, workspace: str, *, start: int) -> tuple[float, float]:
    command = [NORIA, "run", "flow:chain", "-p", f"start={start}", "-w", f"../{workspace}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed with exit code {process.returncode}")
    return wall_s, usage.ru_utime + usage.ru_stime


def _in_process(project: Path, *, start: int, times: int) -> tuple[float, float]:
    """Run the chain `times` times and measure the last one."""
    settings = load_settings(workspace=str(project.parent / "inside"), folder=project)
    taken = (0.0, 0.0)
    with open_workspace(settings) as workspace:
        pipeline = load_pipeline("flow:chain", root=project).pipeline
        for _ in range(times):
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run_pipeline(workspace, pipeline, {"start": start, "length": LENGTH})
            taken = (time.perf_counter() - wall_s) / LENGTH, (time.process_time() - cpu_s) / LENGTH
    return taken


CASES: dict[str, Callable[[Path, int], tuple[float, float]]] = {
    "noria run, 10 steps, new workspace": first_command,
    "noria run, 10 steps, new values": new_values_command,
    "noria run, 10 steps, unchanged": unchanged_command,
    f"one of {LENGTH} steps that run": new_step,
    f"one of {LENGTH} steps that are reused": reused_step,
}

if __name__ == "__main__":
    main()
